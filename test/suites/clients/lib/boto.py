# SPDX-License-Identifier: Apache-2.0
"""What a user of boto3 does, run by whichever Python has it.

The page's block boto3.py makes the clients; everything here uses those.
"""
import base64
import hashlib
import os
import socket
import sys
import threading
import traceback
import urllib.request

sys.path.insert(0, os.path.dirname(__file__))
from snippet import snippet  # noqa: E402

import boto3  # noqa: E402
import botocore  # noqa: E402
from boto3.s3.transfer import TransferConfig  # noqa: E402
from botocore.config import Config  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

SHORT = bool(os.environ.get("SUITE_SHORT"))
CLIENT = os.environ["CLIENT"]
BUCKET = f"{CLIENT}-b-{os.getpid()}"
NEW = tuple(int(n) for n in botocore.__version__.split(".")[:2]) >= (1, 36)

page = {}
here = os.path.dirname(os.path.abspath(__file__))
exec(snippet(os.path.join(here, "../../../../docs/clients.md"), "boto3.py"), page)
s3, kms = page["s3"], page["kms"]

ODD_CONTROL = "control\x01\x1f"
ODD = ["with space", "plus+sign", "per%cent%20", "a//double", "/leading", "trailing/", "dot./.dot", "../up", "./here",
       "ünïcödé", "日本語", "emoji 🐈", "quote'\"", "amp&lt;<>", "semi;colon=eq", "question?hash#", "tilde~(paren)!*",
       "back\\slash", "pipe|caret^", "comma,at@dollar$", ODD_CONTROL, "new\nline", "tab\t", "\u2028", "é" * 500, "x" * 1020]


def same(got, want, what="it"):
    if got != want:
        raise AssertionError(f"{what}: got {got!r:.300}, want {want!r:.300}")


def refused(code, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except ClientError as e:
        same(e.response["Error"]["Code"], code, "the code")
        return e.response
    raise AssertionError(f"this should have failed with {code}")


def requests():
    with urllib.request.urlopen(os.environ["COFFER_METRICS"]) as r:
        return sum(float(l.split()[-1]) for l in r.read().decode().splitlines() if l.startswith("coffer_account_kms_requests_total"))


def size(full, short):
    return short if SHORT else full


def buckets():
    s3.create_bucket(Bucket=BUCKET)
    s3.get_waiter("bucket_exists").wait(Bucket=BUCKET)
    same(BUCKET in [b["Name"] for b in s3.list_buckets()["Buckets"]], True)
    same(s3.head_bucket(Bucket=BUCKET)["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"], s3.meta.region_name)
    same(s3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"], None)
    refused("InvalidBucketName", s3.create_bucket, Bucket="no.." + BUCKET) if NEW else None
    s3.create_bucket(Bucket=BUCKET + "-other")
    s3.delete_bucket(Bucket=BUCKET + "-other")
    s3.get_waiter("bucket_not_exists").wait(Bucket=BUCKET + "-other")


def odd():
    for key in ODD:
        body = key.encode()
        s3.put_object(Bucket=BUCKET, Key="odd/" + key, Body=body, Metadata={"n": "1"})
        same(s3.get_object(Bucket=BUCKET, Key="odd/" + key)["Body"].read(), body, repr(key))
        s3.copy_object(Bucket=BUCKET, Key="copy/" + key, CopySource={"Bucket": BUCKET, "Key": "odd/" + key}) if len(body) < 1000 else None
    for pages in ("list_objects_v2", "list_objects", "list_object_versions"):
        keys = []
        for p in s3.get_paginator(pages).paginate(Bucket=BUCKET, Prefix="odd/", PaginationConfig={"PageSize": 7}):
            keys += [o["Key"] for o in p.get("Contents", p.get("Versions", []))]
        same(keys, sorted(("odd/" + k for k in ODD), key=lambda k: k.encode()), pages)
    folders = s3.list_objects_v2(Bucket=BUCKET, Prefix="odd/", Delimiter="/")
    same([p["Prefix"] for p in folders["CommonPrefixes"]], ["odd/" + p for p in ("../", "./", "/", "a/", "dot./", "trailing/")])
    for folder in ("odd/", "copy/"):
        # XML 1.0 has no control characters, however they are written.
        s3.delete_object(Bucket=BUCKET, Key=folder + ODD_CONTROL)
        others = sorted(folder + k for k in ODD if k != ODD_CONTROL and (folder == "odd/" or len(k.encode()) < 1000))
        out = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": k} for k in others]})
        same(sorted(d["Key"] for d in out["Deleted"]), others)
    refused("KeyTooLongError", s3.put_object, Bucket=BUCKET, Key="x" * 1025)


def metadata():
    sent = {"a": "b", "spaces": "x y  z", "title": "caf\u00e9".encode().decode("ascii", "ignore")}
    s3.put_object(Bucket=BUCKET, Key="meta", Body=b"x", Metadata=sent, ContentType="text/x", CacheControl="max-age=1",
                  ContentDisposition='attachment; filename="x y"', ContentEncoding="gzip", ContentLanguage="de", StorageClass="STANDARD_IA")
    h = s3.head_object(Bucket=BUCKET, Key="meta")
    same(h["Metadata"], sent)
    same([h[k] for k in ("ContentType", "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "StorageClass")],
         ["text/x", "max-age=1", 'attachment; filename="x y"', "gzip", "de", "STANDARD_IA"])
    s3.copy_object(Bucket=BUCKET, Key="meta", CopySource={"Bucket": BUCKET, "Key": "meta"}, Metadata={"new": "1"}, MetadataDirective="REPLACE")
    same(s3.head_object(Bucket=BUCKET, Key="meta")["Metadata"], {"new": "1"})
    refused("InvalidRequest", s3.copy_object, Bucket=BUCKET, Key="meta", CopySource={"Bucket": BUCKET, "Key": "meta"})
    refused("MetadataTooLarge", s3.put_object, Bucket=BUCKET, Key="meta", Metadata={"a": "x" * 2048})


def large():
    path = "large"
    body = os.urandom(size(100, 21) << 20)
    with open(path, "wb") as f:
        f.write(body)
    config = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=8 << 20)
    seen = []
    s3.upload_file(path, BUCKET, "large", Config=config, Callback=seen.append, ExtraArgs={"Metadata": {"a": "b"}})
    same(sum(seen), len(body), "bytes that the callback heard of")
    s3.download_file(BUCKET, "large", "back", Config=config)
    with open("back", "rb") as f:
        same(hashlib.sha256(f.read()).digest(), hashlib.sha256(body).digest(), "what came back")
    s3.copy({"Bucket": BUCKET, "Key": "large"}, BUCKET, "copied", Config=config)
    same(s3.head_object(Bucket=BUCKET, Key="copied")["ContentLength"], len(body))
    same(s3.get_object(Bucket=BUCKET, Key="copied", Range="bytes=8388600-8388620")["Body"].read(), body[8388600:8388621])
    same(s3.get_object(Bucket=BUCKET, Key="copied", PartNumber=2)["PartsCount"], -(-len(body) // (8 << 20)))
    with open(path, "rb") as f:
        s3.upload_fileobj(f, BUCKET, "fileobj", Config=config)
    boto3.resource("s3", config=Config(s3={"addressing_style": "path"}), endpoint_url=s3.meta.endpoint_url).Object(BUCKET, "fileobj").delete()


def uploads():
    up = s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
    chunk = os.urandom(5 << 20)
    parts = []
    for n in (1, 2, 5):
        body = chunk if n != 5 else b"end"
        e = s3.upload_part(Bucket=BUCKET, Key="parts", UploadId=up, PartNumber=n, Body=body)["ETag"]
        parts.append({"PartNumber": n, "ETag": e})
    listed = [p["PartNumber"] for page in s3.get_paginator("list_parts").paginate(Bucket=BUCKET, Key="parts", UploadId=up, PaginationConfig={"PageSize": 1}) for p in page["Parts"]]
    same(listed, [1, 2, 5])
    same([u["Key"] for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=BUCKET) for u in page["Uploads"]], ["parts"])
    refused("InvalidPartOrder", s3.complete_multipart_upload, Bucket=BUCKET, Key="parts", UploadId=up, MultipartUpload={"Parts": parts[::-1]})
    refused("InvalidPart", s3.complete_multipart_upload, Bucket=BUCKET, Key="parts", UploadId=up, MultipartUpload={"Parts": [{"PartNumber": 3, "ETag": '"x"'}]})
    done = s3.complete_multipart_upload(Bucket=BUCKET, Key="parts", UploadId=up, MultipartUpload={"Parts": parts})
    digests = hashlib.md5(chunk).digest() * 2 + hashlib.md5(b"end").digest()
    same(done["ETag"], f'"{hashlib.md5(digests).hexdigest()}-3"')
    up = s3.create_multipart_upload(Bucket=BUCKET, Key="small")["UploadId"]
    parts = [{"PartNumber": n, "ETag": s3.upload_part(Bucket=BUCKET, Key="small", UploadId=up, PartNumber=n, Body=b"x")["ETag"]} for n in (1, 2)]
    refused("EntityTooSmall", s3.complete_multipart_upload, Bucket=BUCKET, Key="small", UploadId=up, MultipartUpload={"Parts": parts})
    s3.abort_multipart_upload(Bucket=BUCKET, Key="small", UploadId=up)
    refused("NoSuchUpload", s3.abort_multipart_upload, Bucket=BUCKET, Key="small", UploadId=up)


def tags():
    s3.put_object(Bucket=BUCKET, Key="tagged", Body=b"x", Tagging="a=1&b%20c=%2B")
    same(s3.get_object_tagging(Bucket=BUCKET, Key="tagged")["TagSet"], [{"Key": "a", "Value": "1"}, {"Key": "b c", "Value": "+"}])
    same(s3.get_object(Bucket=BUCKET, Key="tagged")["TagCount"], 2)
    s3.put_object_tagging(Bucket=BUCKET, Key="tagged", Tagging={"TagSet": [{"Key": "ü", "Value": "é"}]})
    same(s3.get_object_tagging(Bucket=BUCKET, Key="tagged")["TagSet"], [{"Key": "ü", "Value": "é"}])
    refused("InvalidTag", s3.put_object_tagging, Bucket=BUCKET, Key="tagged", Tagging={"TagSet": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]})
    s3.delete_object_tagging(Bucket=BUCKET, Key="tagged")
    s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": [{"Key": "team", "Value": "x"}]})
    same(s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"], [{"Key": "team", "Value": "x"}])
    s3.delete_bucket_tagging(Bucket=BUCKET)
    refused("NoSuchTagSet", s3.get_bucket_tagging, Bucket=BUCKET)


def fetch(url, method="GET", body=None, headers=None):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method, data=body, headers=headers or {})) as r:
            return r.status, r.read()
    except urllib.error.HTTPError as e:
        return e.code, e.read()


def presigned():
    key = "pre signed+ü"
    put = s3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": key, "ContentType": "text/x"})
    same(fetch(put, "PUT", b"presigned", {"Content-Type": "text/x"})[0], 200)
    same(fetch(put, "PUT", b"presigned", {"Content-Type": "text/y"})[0], 403)
    get = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": key, "ResponseContentType": "text/z"}, ExpiresIn=60)
    same(fetch(get), (200, b"presigned"))
    same(fetch(get + "0")[0], 403)
    form = s3.generate_presigned_post(BUCKET, "form/${filename}", Conditions=[["content-length-range", 1, 100], ["starts-with", "$key", "form/"]])
    line = b"--edge\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n"
    body = b"".join(line % (k.encode(), v.encode()) for k, v in form["fields"].items())
    body += b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a b"\r\n\r\nposted\r\n--edge--\r\n'
    same(fetch(form["url"], "POST", body, {"Content-Type": "multipart/form-data; boundary=edge"})[0], 204)
    same(s3.get_object(Bucket=BUCKET, Key="form/a b")["Body"].read(), b"posted")


def sse_kms():
    key, bucket = page["make_kms_bucket"](BUCKET + "-kms"), BUCKET + "-kms"
    before = requests()
    for n in range(50):
        put = s3.put_object(Bucket=bucket, Key=str(n), Body=b"x" * n)
        same((put["ServerSideEncryption"], put["SSEKMSKeyId"], put["BucketKeyEnabled"]), ("aws:kms", key, True))
    for n in range(50):
        same(s3.get_object(Bucket=bucket, Key=str(n))["Body"].read(), b"x" * n)
    same(requests() - before, 2, "KMS requests")
    s3.put_object(Bucket=BUCKET, Key="kms", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key, SSEKMSEncryptionContext=base64.b64encode(b'{"a":"b"}').decode())
    same(s3.get_object(Bucket=BUCKET, Key="kms")["ServerSideEncryption"], "aws:kms")
    kms.disable_key(KeyId=key)
    refused("KMS.DisabledException", s3.get_object, Bucket=bucket, Key="1")
    refused("KMS.DisabledException", s3.put_object, Bucket=bucket, Key="1", Body=b"")
    kms.enable_key(KeyId=key)
    empty(bucket)


def sse_c():
    bucket = BUCKET + "-ssec"
    s3.create_bucket(Bucket=bucket)
    mine = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": os.urandom(32)}
    refused("AccessDenied", s3.put_object, Bucket=bucket, Key="x", Body=b"secret", **mine)
    if not NEW:
        empty(bucket)
        return  # its model has no BlockedEncryptionTypes
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [{
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BlockedEncryptionTypes": {"EncryptionType": ["NONE"]}}]})
    s3.put_object(Bucket=bucket, Key="x", Body=b"secret", **mine)
    same(s3.get_object(Bucket=bucket, Key="x", **mine)["Body"].read(), b"secret")
    refused("InvalidRequest", s3.get_object, Bucket=bucket, Key="x")
    refused("AccessDenied", s3.get_object, Bucket=bucket, Key="x", SSECustomerAlgorithm="AES256", SSECustomerKey=os.urandom(32))
    s3.copy_object(Bucket=bucket, Key="y", CopySource={"Bucket": bucket, "Key": "x"}, CopySourceSSECustomerAlgorithm="AES256", CopySourceSSECustomerKey=mine["SSECustomerKey"])
    same(s3.get_object(Bucket=bucket, Key="y")["Body"].read(), b"secret")
    empty(bucket)


def versioning():
    bucket = BUCKET + "-versions"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    same(s3.get_bucket_versioning(Bucket=bucket)["Status"], "Enabled")
    ids = [s3.put_object(Bucket=bucket, Key="x", Body=str(n).encode())["VersionId"] for n in range(5)]
    same(s3.get_object(Bucket=bucket, Key="x", VersionId=ids[1])["Body"].read(), b"1")
    gone = s3.delete_object(Bucket=bucket, Key="x")
    same(gone["DeleteMarker"], True)
    refused("NoSuchKey", s3.get_object, Bucket=bucket, Key="x")
    refused("MethodNotAllowed", s3.get_object, Bucket=bucket, Key="x", VersionId=gone["VersionId"])
    pages = list(s3.get_paginator("list_object_versions").paginate(Bucket=bucket, PaginationConfig={"PageSize": 2}))
    same([v["VersionId"] for p in pages for v in p.get("Versions", [])], ids[::-1])
    s3.delete_object(Bucket=bucket, Key="x", VersionId=gone["VersionId"])
    same(s3.get_object(Bucket=bucket, Key="x")["Body"].read(), b"4")
    refused("InvalidArgument", s3.get_object, Bucket=bucket, Key="x", VersionId="nonsense")
    refused("BucketNotEmpty", s3.delete_bucket, Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    s3.put_object(Bucket=bucket, Key="x", Body=b"null")
    same(s3.get_object(Bucket=bucket, Key="x", VersionId="null")["Body"].read(), b"null")
    empty(bucket)


def conditions():
    etag = s3.put_object(Bucket=BUCKET, Key="cond", Body=b"1")["ETag"]
    refused("304", s3.get_object, Bucket=BUCKET, Key="cond", IfNoneMatch=etag)
    refused("PreconditionFailed", s3.get_object, Bucket=BUCKET, Key="cond", IfMatch='"x"')
    if not NEW:
        return  # older ones know no conditions of writing
    refused("PreconditionFailed", s3.put_object, Bucket=BUCKET, Key="cond", Body=b"2", IfNoneMatch="*")
    refused("PreconditionFailed", s3.put_object, Bucket=BUCKET, Key="cond", Body=b"2", IfMatch='"x"')
    s3.put_object(Bucket=BUCKET, Key="cond", Body=b"2", IfMatch=etag)
    refused("NoSuchKey", s3.put_object, Bucket=BUCKET, Key="none", Body=b"2", IfMatch=etag)
    wins = []
    def claim(n):
        try:
            s3.put_object(Bucket=BUCKET, Key="claimed", Body=str(n).encode(), IfNoneMatch="*")
            wins.append(n)
        except ClientError as e:
            same(e.response["Error"]["Code"] in ("PreconditionFailed", "ConditionalRequestConflict"), True, e)
    threads = [threading.Thread(target=claim, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    same(len(wins), 1, "writers that won")


def checksums():
    algorithms = {"CRC32": "ChecksumCRC32", "SHA1": "ChecksumSHA1", "SHA256": "ChecksumSHA256"}
    for algorithm, member in algorithms.items():
        put = s3.put_object(Bucket=BUCKET, Key="sum", Body=b"sums", ChecksumAlgorithm=algorithm)
        got = s3.get_object(Bucket=BUCKET, Key="sum", ChecksumMode="ENABLED")
        same(got[member], put[member])
        same(got["Body"].read(), b"sums")
    # A body that cannot be read twice is sent in chunks with its checksum behind it.
    s3.put_object(Bucket=BUCKET, Key="trailer", Body=b"in chunks" * 100000, ChecksumAlgorithm="SHA256")
    same(len(s3.get_object(Bucket=BUCKET, Key="trailer")["Body"].read()), 900000)
    up = s3.create_multipart_upload(Bucket=BUCKET, Key="summed", ChecksumAlgorithm="SHA256")["UploadId"]
    part = s3.upload_part(Bucket=BUCKET, Key="summed", UploadId=up, PartNumber=1, Body=b"part", ChecksumAlgorithm="SHA256")
    done = s3.complete_multipart_upload(Bucket=BUCKET, Key="summed", UploadId=up, MultipartUpload={"Parts": [
        {"PartNumber": 1, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]}]})
    want = base64.b64encode(hashlib.sha256(hashlib.sha256(b"part").digest()).digest()).decode() + "-1"
    same(done["ChecksumSHA256"], want)
    attributes = s3.get_object_attributes(Bucket=BUCKET, Key="summed", ObjectAttributes=["ETag", "Checksum", "ObjectParts", "ObjectSize"])
    same((attributes["ObjectSize"], attributes["ObjectParts"]["TotalPartsCount"]), (4, 1))
    # botocore tries again when it is told of a wrong digest, and waits longer each time.
    once = boto3.client("s3", endpoint_url=s3.meta.endpoint_url, config=Config(retries={"total_max_attempts": 1}))
    refused("BadDigest", once.put_object, Bucket=BUCKET, Key="bad", Body=b"x", ChecksumSHA256=base64.b64encode(bytes(32)).decode())
    refused("BadDigest", once.put_object, Bucket=BUCKET, Key="bad", Body=b"x", ContentMD5=base64.b64encode(bytes(16)).decode())
    refused("NoSuchKey", s3.get_object, Bucket=BUCKET, Key="bad")
    if NEW:
        # What the newest SDKs do by themselves: a CRC with each write, verified on each read.
        same("ChecksumCRC32" in s3.put_object(Bucket=BUCKET, Key="sum", Body=b"x"), True)
        off = boto3.client("s3", endpoint_url=s3.meta.endpoint_url, config=Config(
            request_checksum_calculation="when_required", response_checksum_validation="when_required"))
        same("ChecksumCRC32" in off.put_object(Bucket=BUCKET, Key="sum", Body=b"x"), False)
        same(off.get_object(Bucket=BUCKET, Key="sum")["Body"].read(), b"x")
        off.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "sum"}]})


def virtual_host():
    resolve = socket.getaddrinfo
    def local(host, *args, **kwargs):
        return resolve("127.0.0.1" if str(host).endswith("localhost") else host, *args, **kwargs)
    socket.getaddrinfo = local
    try:
        port = s3.meta.endpoint_url.rsplit(":", 1)[1]
        v = boto3.client("s3", endpoint_url=f"http://s3.localhost:{port}", config=Config(signature_version="s3v4", s3={"addressing_style": "virtual"}))
        v.put_object(Bucket=BUCKET, Key="virtual host/ü", Body=b"v")
        same(v.get_object(Bucket=BUCKET, Key="virtual host/ü")["Body"].read(), b"v")
        same(v.list_objects_v2(Bucket=BUCKET, Prefix="virtual")["KeyCount"], 1)
        url = v.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "virtual host/ü"})
        same(url.startswith(f"http://{BUCKET}.s3.localhost"), True, url)
        same(fetch(url), (200, b"v"))
    finally:
        socket.getaddrinfo = resolve


def errors():
    refused("NoSuchBucket", s3.list_objects_v2, Bucket="none-" + BUCKET)
    refused("NoSuchKey", s3.get_object, Bucket=BUCKET, Key="none")
    refused("404", s3.head_object, Bucket=BUCKET, Key="none")
    refused("BucketNotEmpty", s3.delete_bucket, Bucket=BUCKET)
    refused("InvalidRange", s3.get_object, Bucket=BUCKET, Key="cond", Range="bytes=99-")
    for code, kw in (("SignatureDoesNotMatch", {"aws_secret_access_key": "wrong"}), ("InvalidAccessKeyId", {"aws_access_key_id": "AKIANOBODY0000000000"})):
        kw = {"aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"], **kw}
        other = boto3.client("s3", endpoint_url=s3.meta.endpoint_url, **kw)
        r = refused(code, other.list_buckets)
        same(r["ResponseMetadata"]["HTTPStatusCode"], 403)
        same(bool(r["ResponseMetadata"]["RequestId"]), True)
    elsewhere = boto3.client("s3", endpoint_url=s3.meta.endpoint_url, region_name="eu-central-1")
    same(elsewhere.list_objects_v2(Bucket=BUCKET, MaxKeys=1)["KeyCount"], 1)  # it is told the region, and asks again
    anonymous = boto3.client("s3", endpoint_url=s3.meta.endpoint_url, config=Config(signature_version=botocore.UNSIGNED))
    refused("AccessDenied", anonymous.get_object, Bucket=BUCKET, Key="cond")


def configuration():
    for call, code in (("get_bucket_policy", "NoSuchBucketPolicy"), ("get_bucket_cors", "NoSuchCORSConfiguration"),
                       ("get_bucket_website", "NoSuchWebsiteConfiguration"), ("get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration"),
                       ("get_bucket_replication", "ReplicationConfigurationNotFoundError"), ("get_object_lock_configuration", "ObjectLockConfigurationNotFoundError")):
        refused(code, getattr(s3, call), Bucket=BUCKET)
    for call in ("get_bucket_logging", "get_bucket_notification_configuration", "get_bucket_accelerate_configuration",
                 "get_bucket_request_payment", "get_bucket_ownership_controls", "get_public_access_block", "get_bucket_acl"):
        getattr(s3, call)(Bucket=BUCKET)
    rules = [{"AllowedMethods": ["GET"], "AllowedOrigins": ["https://example.com"], "MaxAgeSeconds": 60}]
    s3.put_bucket_cors(Bucket=BUCKET, CORSConfiguration={"CORSRules": rules})
    same(s3.get_bucket_cors(Bucket=BUCKET)["CORSRules"], rules)
    s3.delete_bucket_cors(Bucket=BUCKET)
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": [
        {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "old/"}, "Expiration": {"Days": 30}}]})
    same(s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"][0]["Expiration"]["Days"], 30)
    s3.delete_bucket_lifecycle(Bucket=BUCKET)


def empty(bucket):
    for p in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        all_ = [{"Key": v["Key"], "VersionId": v["VersionId"]} for v in p.get("Versions", []) + p.get("DeleteMarkers", [])]
        if all_:
            same(s3.delete_objects(Bucket=bucket, Delete={"Objects": all_, "Quiet": True}).get("Errors"), None)
    for p in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        for u in p.get("Uploads", []):
            s3.abort_multipart_upload(Bucket=bucket, Key=u["Key"], UploadId=u["UploadId"])
    s3.delete_bucket(Bucket=bucket)


def remove():
    empty(BUCKET)
    refused("NoSuchBucket", s3.list_objects_v2, Bucket=BUCKET)


for test in (buckets, odd, metadata, large, uploads, tags, presigned, sse_kms, sse_c, versioning, conditions, checksums, virtual_host, errors, configuration, remove):
    try:
        test()
        print(f"ok {test.__name__}", flush=True)
    except Exception as e:
        traceback.print_exc()
        print(f"FAIL {test.__name__}: line {traceback.extract_tb(e.__traceback__)[-1].lineno if not isinstance(e, AssertionError) else traceback.extract_tb(e.__traceback__)[1].lineno}: {str(e)[:400]!r}", flush=True)
