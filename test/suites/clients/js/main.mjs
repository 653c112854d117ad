// SPDX-License-Identifier: Apache-2.0
//
// What a user of the AWS SDK for JavaScript v3 does. client.mjs is the page's.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { createReadStream, writeFileSync } from "node:fs";
import http from "node:http";
import { Readable } from "node:stream";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import * as S3 from "@aws-sdk/client-s3";
import { DisableKeyCommand, EnableKeyCommand } from "@aws-sdk/client-kms";
import { Upload } from "@aws-sdk/lib-storage";
import { createPresignedPost } from "@aws-sdk/s3-presigned-post";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { kms, makeKmsBucket, s3 } from "./client.mjs";

const short = !!process.env.SUITE_SHORT;
const Bucket = `sdk-js-b-${process.pid}`;
const endpoint = process.env.COFFER_ENDPOINT;
const region = process.env.AWS_DEFAULT_REGION;

const settings = { endpoint, region, forcePathStyle: true };

const odd = ["with space", "plus+sign", "per%cent%20", "a//double", "/leading", "trailing/", "dot./.dot", "ünïcödé", "日本語",
  "emoji 🐈", "quote'\"", "amp&lt;<>", "semi;colon=eq", "question?hash#", "tilde~(paren)!*", "back\\slash", "comma,at@dollar$", "new\nline", "x".repeat(1020)];

async function refused(name, command, client = s3) {
  try {
    await client.send(command);
  } catch (e) {
    assert.equal(e.name, name, `${e.name}: ${e.message}`);
    return e;
  }
  assert.fail(`this should have failed with ${name}`);
}

async function read(Key, more = {}) {
  const got = await s3.send(new S3.GetObjectCommand({ Bucket, Key, ...more }));
  return Buffer.from(await got.Body.transformToByteArray());
}

async function requests() {
  const text = await (await fetch(process.env.COFFER_METRICS)).text();
  return text.split("\n").filter((l) => l.startsWith("coffer_account_kms_requests_total")).reduce((n, l) => n + Number(l.split(" ").pop()), 0);
}

const put = (Key, Body, more = {}) => s3.send(new S3.PutObjectCommand({ Bucket, Key, Body, ...more }));

async function empty(Bucket) {
  for await (const page of versionPages(Bucket)) {
    const all = [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])];
    if (all.length === 0) continue;
    const out = await s3.send(new S3.DeleteObjectsCommand({ Bucket, Delete: { Objects: all.map((v) => ({ Key: v.Key, VersionId: v.VersionId })) } }));
    assert.equal(out.Errors, undefined);
  }
  await s3.send(new S3.DeleteBucketCommand({ Bucket }));
}

async function* versionPages(Bucket) {
  let page = {};
  do {
    page = await s3.send(new S3.ListObjectVersionsCommand({ Bucket, KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker }));
    yield page;
  } while (page.IsTruncated);
}

const tests = {
  async buckets() {
    await s3.send(new S3.CreateBucketCommand({ Bucket }));
    await S3.waitUntilBucketExists({ client: s3, maxWaitTime: 20 }, { Bucket });
    assert.equal((await s3.send(new S3.HeadBucketCommand({ Bucket }))).BucketRegion, region);
    const names = [];
    for await (const page of S3.paginateListBuckets({ client: s3, pageSize: 1 }, { Prefix: Bucket })) names.push(...page.Buckets.map((b) => b.Name));
    assert.deepEqual(names, [Bucket]);
    await s3.send(new S3.CreateBucketCommand({ Bucket: `${Bucket}-other` }));
    await s3.send(new S3.DeleteBucketCommand({ Bucket: `${Bucket}-other` }));
    await S3.waitUntilBucketNotExists({ client: s3, maxWaitTime: 20 }, { Bucket: `${Bucket}-other` });
  },

  async odd() {
    for (const key of odd) {
      await put(`odd/${key}`, key);
      assert.equal((await read(`odd/${key}`)).toString(), key);
    }
    const keys = [];
    for await (const page of S3.paginateListObjectsV2({ client: s3, pageSize: 5 }, { Bucket, Prefix: "odd/" })) keys.push(...page.Contents.map((o) => o.Key));
    assert.deepEqual(keys, odd.map((k) => `odd/${k}`).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
    const out = await s3.send(new S3.DeleteObjectsCommand({ Bucket, Delete: { Objects: keys.map((Key) => ({ Key })) } }));
    assert.equal(out.Deleted.length, odd.length);
  },

  async streams() {
    const body = randomBytes(3 << 20);
    writeFileSync("file", body);
    await put("stream", createReadStream("file"));
    assert.ok((await read("stream")).equals(body));
    // Of a stream's length nothing is known: it goes in parts.
    await new Upload({ client: s3, params: { Bucket, Key: "unknown", Body: Readable.from([body, body]) } }).done();
    assert.equal((await read("unknown")).length, 2 * body.length);
    assert.ok((await read("unknown", { Range: `bytes=${body.length}-` })).equals(body));
  },

  async large() {
    const body = randomBytes((short ? 17 : 100) << 20);
    let loaded = 0;
    const upload = new Upload({ client: s3, params: { Bucket, Key: "large", Body: body, Metadata: { a: "b" } }, partSize: 5 << 20, queueSize: 3 });
    upload.on("httpUploadProgress", (p) => (loaded = Math.max(loaded, p.loaded)));
    const done = await upload.done();
    assert.equal(loaded, body.length);
    assert.match(done.ETag, /^"[0-9a-f]{32}-[0-9]+"$/);
    assert.equal(createHash("sha256").update(await read("large")).digest("hex"), createHash("sha256").update(body).digest("hex"));
    const head = await s3.send(new S3.HeadObjectCommand({ Bucket, Key: "large", ChecksumMode: "ENABLED" }));
    assert.equal(head.Metadata.a, "b");
    assert.ok(head.ChecksumCRC32, "no checksum of the whole");
    const attributes = await s3.send(new S3.GetObjectAttributesCommand({ Bucket, Key: "large", ObjectAttributes: ["ObjectParts", "Checksum", "ObjectSize"] }));
    assert.equal(attributes.ObjectSize, body.length);
    await s3.send(new S3.CopyObjectCommand({ Bucket, Key: "copied", CopySource: `${Bucket}/large` }));
    assert.equal((await s3.send(new S3.HeadObjectCommand({ Bucket, Key: "copied" }))).ContentLength, body.length);
    const aborted = new Upload({ client: s3, params: { Bucket, Key: "aborted", Body: body }, partSize: 5 << 20 });
    const outcome = assert.rejects(aborted.done(), { name: "AbortError" });
    await aborted.abort();
    await outcome;
    await refused("NotFound", new S3.HeadObjectCommand({ Bucket, Key: "aborted" }));
  },

  async copy() {
    await put("cö py+x", "copied", { Metadata: { a: "1" } });
    await s3.send(new S3.CopyObjectCommand({ Bucket, Key: "copy2", CopySource: `${Bucket}/${encodeURIComponent("cö py+x")}` }));
    assert.equal((await read("copy2")).toString(), "copied");
    await s3.send(new S3.CopyObjectCommand({ Bucket, Key: "copy2", CopySource: `${Bucket}/copy2`, MetadataDirective: "REPLACE", Metadata: { b: "2" } }));
    assert.deepEqual((await s3.send(new S3.HeadObjectCommand({ Bucket, Key: "copy2" }))).Metadata, { b: "2" });
  },

  async tags() {
    await put("tagged", "x", { Tagging: "a=1&b%20c=%2B" });
    const got = await s3.send(new S3.GetObjectTaggingCommand({ Bucket, Key: "tagged" }));
    assert.deepEqual(got.TagSet, [{ Key: "a", Value: "1" }, { Key: "b c", Value: "+" }]);
    await s3.send(new S3.PutObjectTaggingCommand({ Bucket, Key: "tagged", Tagging: { TagSet: [{ Key: "ü", Value: "é" }] } }));
    await s3.send(new S3.DeleteObjectTaggingCommand({ Bucket, Key: "tagged" }));
    await s3.send(new S3.PutBucketTaggingCommand({ Bucket, Tagging: { TagSet: [{ Key: "team", Value: "x" }] } }));
    await s3.send(new S3.DeleteBucketTaggingCommand({ Bucket }));
    await refused("NoSuchTagSet", new S3.GetBucketTaggingCommand({ Bucket }));
  },

  async presigned() {
    const Key = "pre signed+ü";
    const up = await getSignedUrl(s3, new S3.PutObjectCommand({ Bucket, Key, ContentType: "text/x" }), { expiresIn: 60 });
    assert.equal((await fetch(up, { method: "PUT", body: "presigned", headers: { "Content-Type": "text/x" } })).status, 200);
    const down = await getSignedUrl(s3, new S3.GetObjectCommand({ Bucket, Key, ResponseContentType: "text/z" }), { expiresIn: 60 });
    const got = await fetch(down);
    assert.equal(await got.text(), "presigned");
    assert.equal(got.headers.get("content-type"), "text/z");
    assert.equal((await fetch(`${down}&more=1`)).status, 403);
    const form = await createPresignedPost(s3, { Bucket, Key: "form/${filename}", Conditions: [["content-length-range", 1, 100]], Expires: 60 });
    const data = new FormData();
    for (const [name, value] of Object.entries(form.fields)) data.append(name, value);
    data.append("file", new Blob(["posted"]), "a b");
    assert.equal((await fetch(form.url, { method: "POST", body: data })).status, 204);
    assert.equal((await read("form/a b")).toString(), "posted");
  },

  async sseKms() {
    const bucket = `${Bucket}-kms`;
    const KeyId = await makeKmsBucket(bucket);
    const before = await requests();
    for (let n = 0; n < 20; n++) {
      const out = await put(`${n}`, "x".repeat(n), { Bucket: bucket });
      assert.deepEqual([out.ServerSideEncryption, out.SSEKMSKeyId, out.BucketKeyEnabled], ["aws:kms", KeyId, true]);
      assert.equal((await read(`${n}`, { Bucket: bucket })).length, n);
    }
    assert.equal((await requests()) - before, 2);
    await kms.send(new DisableKeyCommand({ KeyId }));
    await refused("KMS.DisabledException", new S3.GetObjectCommand({ Bucket: bucket, Key: "1" }));
    await kms.send(new EnableKeyCommand({ KeyId }));
    await empty(bucket);
  },

  async sseC() {
    const bucket = `${Bucket}-ssec`;
    await s3.send(new S3.CreateBucketCommand({ Bucket: bucket }));
    const key = randomBytes(32);
    const mine = { SSECustomerAlgorithm: "AES256", SSECustomerKey: key.toString("base64"), SSECustomerKeyMD5: createHash("md5").update(key).digest("base64") };
    await refused("AccessDenied", new S3.PutObjectCommand({ Bucket: bucket, Key: "x", Body: "secret", ...mine }));
    await s3.send(new S3.PutBucketEncryptionCommand({ Bucket: bucket, ServerSideEncryptionConfiguration: { Rules: [
      { ApplyServerSideEncryptionByDefault: { SSEAlgorithm: "AES256" }, BlockedEncryptionTypes: { EncryptionType: ["NONE"] } }] } }));
    await put("x", "secret", { Bucket: bucket, ...mine });
    assert.equal((await read("x", { Bucket: bucket, ...mine })).toString(), "secret");
    await refused("InvalidRequest", new S3.GetObjectCommand({ Bucket: bucket, Key: "x" }));
    await empty(bucket);
  },

  async versioning() {
    const bucket = `${Bucket}-versions`;
    await s3.send(new S3.CreateBucketCommand({ Bucket: bucket }));
    await s3.send(new S3.PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration: { Status: "Enabled" } }));
    const ids = [];
    for (let n = 0; n < 4; n++) ids.push((await put("x", `${n}`, { Bucket: bucket })).VersionId);
    assert.equal((await read("x", { Bucket: bucket, VersionId: ids[1] })).toString(), "1");
    const gone = await s3.send(new S3.DeleteObjectCommand({ Bucket: bucket, Key: "x" }));
    assert.equal(gone.DeleteMarker, true);
    await refused("NoSuchKey", new S3.GetObjectCommand({ Bucket: bucket, Key: "x" }));
    await s3.send(new S3.DeleteObjectCommand({ Bucket: bucket, Key: "x", VersionId: gone.VersionId }));
    assert.equal((await read("x", { Bucket: bucket })).toString(), "3");
    await empty(bucket);
  },

  async conditions() {
    const { ETag } = await put("cond", "1");
    await refused("PreconditionFailed", new S3.PutObjectCommand({ Bucket, Key: "cond", Body: "2", IfNoneMatch: "*" }));
    await refused("PreconditionFailed", new S3.PutObjectCommand({ Bucket, Key: "cond", Body: "2", IfMatch: '"x"' }));
    await put("cond", "2", { IfMatch: ETag });
    await refused("PreconditionFailed", new S3.GetObjectCommand({ Bucket, Key: "cond", IfMatch: ETag }));
    const now = await s3.send(new S3.HeadObjectCommand({ Bucket, Key: "cond" }));
    await assert.rejects(read("cond", { IfNoneMatch: now.ETag }), (e) => e.$metadata.httpStatusCode === 304);
  },

  async checksums() {
    for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME"]) {
      const member = `Checksum${ChecksumAlgorithm}`;
      const sent = await put("sum", "sums", { ChecksumAlgorithm });
      const got = await s3.send(new S3.GetObjectCommand({ Bucket, Key: "sum", ChecksumMode: "ENABLED" }));
      assert.equal(got[member], sent[member]);
      assert.ok(got[member]);
      assert.equal(await got.Body.transformToString(), "sums");
    }
    await refused("BadDigest", new S3.PutObjectCommand({ Bucket, Key: "bad", Body: "x", ChecksumSHA256: Buffer.alloc(32).toString("base64") }));
    await refused("NotFound", new S3.HeadObjectCommand({ Bucket, Key: "bad" }));
    const off = new S3.S3Client({ ...settings, requestChecksumCalculation: "WHEN_REQUIRED", responseChecksumValidation: "WHEN_REQUIRED" });
    assert.equal((await off.send(new S3.PutObjectCommand({ Bucket, Key: "sum", Body: "x" }))).ChecksumCRC32, undefined);
    assert.equal(await (await off.send(new S3.GetObjectCommand({ Bucket, Key: "sum" }))).Body.transformToString(), "x");
    await off.send(new S3.DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: "sum" }] } }));
  },

  async virtualHost() {
    const lookup = (_, options, done) => (options.all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4));
    const client = new S3.S3Client({ ...settings, endpoint: `http://s3.localhost:${endpoint.split(":").pop()}`, forcePathStyle: false,
      requestHandler: new NodeHttpHandler({ httpAgent: new http.Agent({ lookup }) }) });
    await client.send(new S3.PutObjectCommand({ Bucket, Key: "virtual host/ü", Body: "v" }));
    assert.equal(await (await client.send(new S3.GetObjectCommand({ Bucket, Key: "virtual host/ü" }))).Body.transformToString(), "v");
    assert.equal((await client.send(new S3.ListObjectsV2Command({ Bucket, Prefix: "virtual" }))).KeyCount, 1);
    assert.ok((await getSignedUrl(client, new S3.GetObjectCommand({ Bucket, Key: "x" }))).startsWith(`http://${Bucket}.s3.localhost`));
  },

  async waiters() {
    const seen = S3.waitUntilObjectExists({ client: s3, maxWaitTime: 30, minDelay: 1 }, { Bucket, Key: "waited" });
    await put("waited", "x");
    await seen;
    await s3.send(new S3.DeleteObjectCommand({ Bucket, Key: "waited" }));
    await S3.waitUntilObjectNotExists({ client: s3, maxWaitTime: 30 }, { Bucket, Key: "waited" });
  },

  async errors() {
    const e = await refused("NoSuchBucket", new S3.ListObjectsV2Command({ Bucket: `none-${Bucket}` }));
    assert.equal(e.$metadata.httpStatusCode, 404);
    assert.ok(e.$metadata.requestId && e.$metadata.extendedRequestId);
    assert.ok((await refused("NoSuchKey", new S3.GetObjectCommand({ Bucket, Key: "none" }))) instanceof S3.NoSuchKey);
    await refused("NotFound", new S3.HeadObjectCommand({ Bucket, Key: "none" }));
    await refused("BucketNotEmpty", new S3.DeleteBucketCommand({ Bucket }));
    await refused("InvalidRange", new S3.GetObjectCommand({ Bucket, Key: "cond", Range: "bytes=99-" }));
    const wrong = new S3.S3Client({ ...settings, credentials: { accessKeyId: process.env.AWS_ACCESS_KEY_ID, secretAccessKey: "wrong" } });
    await refused("SignatureDoesNotMatch", new S3.ListBucketsCommand({}), wrong);
    const nobody = new S3.S3Client({ ...settings, credentials: { accessKeyId: "AKIANOBODY0000000000", secretAccessKey: "wrong" } });
    await refused("InvalidAccessKeyId", new S3.ListBucketsCommand({}), nobody);
  },

  async remove() {
    await empty(Bucket);
    await refused("NoSuchBucket", new S3.ListObjectsV2Command({ Bucket }));
  },
};

for (const [name, test] of Object.entries(tests)) {
  try {
    await test();
    console.log(`ok ${name}`);
  } catch (e) {
    console.error(e);
    console.log(`FAIL ${name}: ${String(e.message ?? e).replaceAll("\n", " ").slice(0, 400)} ${String(e.stack).match(/main\.mjs:\d+/) ?? ""}`);
  }
}
