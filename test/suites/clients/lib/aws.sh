# SPDX-License-Identifier: Apache-2.0
#
# The AWS CLI: both generations run this. The script that sources it has defined
# `aws` as a function, which checksums it can make, and what to do when time is short.

mkdir -p "$HOME/.aws"
snippet "$client.config" >"$HOME/.aws/config" || exit 1
b=$(name b)
v=$(name v)
k=$(name kms)
c=$(name ssec)
big=$((17 << 20))
[ "$short" ] && odd_keys=("${odd_keys[@]:0:4}")
[ "$short" ] || big=$((200 << 20))

buckets() {
	aws s3 mb "s3://$b"
	aws s3api wait bucket-exists --bucket "$b"
	aws s3 ls | grep " $b\$"
	aws s3api head-bucket --bucket "$b"
	same "$(aws s3api get-bucket-location --bucket "$b" --query LocationConstraint --output text)" None location
	aws s3 mb "s3://$b-other"
	aws s3 rb "s3://$b-other"
	aws s3api wait bucket-not-exists --bucket "$b-other"
	refused InvalidBucketName aws s3api create-bucket --bucket "a..b-$b"
}

odd() {
	local key
	for key in "${odd_keys[@]}"; do
		printf '%s' "$key" >one
		aws s3api put-object --bucket "$b" --key "odd/$key" --body one >put
		aws s3api get-object --bucket "$b" --key "odd/$key" two >got
		cmp one two
	done
	aws s3api list-objects-v2 --bucket "$b" --prefix odd/ --query 'Contents[].Key' --output json >list
	python3 -c 'import json, sys; assert sorted(json.load(open("list"))) == sorted("odd/" + k for k in sys.argv[1:]), open("list").read()' "${odd_keys[@]}"
	aws s3 cp --recursive --only-show-errors "s3://$b/odd/" tree/
	for key in "${odd_keys[@]}"; do
		same "$(cat "tree/$key")" "$key"
	done
	aws s3 rm --recursive --only-show-errors "s3://$b/odd/"
	same "$(aws s3 ls "s3://$b/odd/" | wc -l)" 0 'keys that are left'
}

large() {
	file $big large
	aws s3 cp --only-show-errors --content-type text/x-large --metadata a=1,b=two large "s3://$b/large"
	aws s3api head-object --bucket "$b" --key large >head
	grep -q '"ETag": "\\"[0-9a-f]*-[0-9]*\\""' head
	grep -q text/x-large head && grep -q '"b": "two"' head
	aws s3 cp --only-show-errors "s3://$b/large" back
	cmp large back
	aws s3 cp --only-show-errors "s3://$b/large" - | cmp large -
	aws s3api get-object --bucket "$b" --key large --range bytes=8388600-8388620 part >ranged
	cmp part <(tail -c +8388601 large | head -c 21)
	cat large | aws s3 cp --only-show-errors - "s3://$b/stream"
	aws s3 cp --only-show-errors "s3://$b/large" "s3://$b/copied"
	aws s3 cp --only-show-errors "s3://$b/copied" back
	cmp large back
	# Version 1 does not take metadata along when it copies in parts.
	[ "$client" = aws-cli-1 ] ||
		same "$(aws s3api head-object --bucket "$b" --key copied --query 'Metadata.b' --output text)" two 'metadata of the copy'
	aws s3 mv --only-show-errors "s3://$b/copied" "s3://$b/moved"
	refused 404 aws s3api head-object --bucket "$b" --key copied
	aws s3 ls --recursive --human-readable --summarize "s3://$b/" | grep 'Total Objects'
}

parts() {
	local id e1 e2
	id=$(aws s3api create-multipart-upload --bucket "$b" --key parts --query UploadId --output text)
	file $((5 << 20)) one
	e1=$(aws s3api upload-part --bucket "$b" --key parts --upload-id "$id" --part-number 1 --body one --query ETag --output text)
	echo last >two
	e2=$(aws s3api upload-part --bucket "$b" --key parts --upload-id "$id" --part-number 2 --body two --query ETag --output text)
	same "$(aws s3api list-parts --bucket "$b" --key parts --upload-id "$id" --query 'length(Parts)')" 2 'parts'
	same "$(aws s3api list-multipart-uploads --bucket "$b" --query 'Uploads[].Key' --output text)" parts 'uploads'
	aws s3api complete-multipart-upload --bucket "$b" --key parts --upload-id "$id" \
		--multipart-upload "{\"Parts\":[{\"PartNumber\":1,\"ETag\":$e1},{\"PartNumber\":2,\"ETag\":$e2}]}" >done
	aws s3 cp --only-show-errors "s3://$b/parts" - | cmp <(cat one two) -
	id=$(aws s3api create-multipart-upload --bucket "$b" --key parts --query UploadId --output text)
	aws s3api abort-multipart-upload --bucket "$b" --key parts --upload-id "$id"
	refused NoSuchUpload aws s3api list-parts --bucket "$b" --key parts --upload-id "$id"
}

sync() {
	local i
	mkdir -p up/deep/er
	for i in $(seq 30); do
		echo "$i" >"up/deep/$i"
		echo "$i" >"up/deep/er/$i x"
	done
	# S3 tells times in seconds: what is of this second would be newer than its copy.
	find up -type f -exec touch -d '1 minute ago' {} +
	aws s3 sync --only-show-errors up "s3://$b/sync"
	same "$(aws s3 sync up "s3://$b/sync")" '' 'a second sync'
	rm up/deep/7
	echo changed >>up/deep/8
	same "$(aws s3 sync --delete --no-progress up "s3://$b/sync" | wc -l)" 2 'changes of a third sync'
	aws s3 sync --only-show-errors "s3://$b/sync" down
	diff -r up down
	aws s3 sync --only-show-errors "s3://$b/sync" "s3://$b/sync2"
	same "$(aws s3 ls --recursive "s3://$b/sync2/" | wc -l)" 59 'objects'
	aws s3 rm --recursive --only-show-errors --exclude '*' --include '*/er/*' "s3://$b/sync2"
	same "$(aws s3 ls --recursive "s3://$b/sync2/" | wc -l)" 29 'objects'
}

tags() {
	echo x | aws s3 cp --only-show-errors - "s3://$b/tagged"
	aws s3api put-object-tagging --bucket "$b" --key tagged --tagging 'TagSet=[{Key=a b,Value=1+1},{Key=ü,Value=é}]'
	same "$(aws s3api get-object-tagging --bucket "$b" --key tagged --query 'sort_by(TagSet,&Key)[].[Key,Value]' --output text | tr '\t\n' '=,')" 'a b=1+1,ü=é,'
	aws s3api delete-object-tagging --bucket "$b" --key tagged
	aws s3api put-object --bucket "$b" --key tagged2 --tagging 'a=1&b=2' >put
	same "$(aws s3api get-object-tagging --bucket "$b" --key tagged2 --query 'length(TagSet)')" 2
	aws s3api put-bucket-tagging --bucket "$b" --tagging 'TagSet=[{Key=team,Value=x y}]'
	same "$(aws s3api get-bucket-tagging --bucket "$b" --query 'TagSet[0].Value' --output text)" 'x y'
	aws s3api delete-bucket-tagging --bucket "$b"
	refused NoSuchTagSet aws s3api get-bucket-tagging --bucket "$b"
}

presigned() {
	local url
	echo presigned | aws s3 cp --only-show-errors - "s3://$b/pre signed+ü"
	url=$(aws s3 presign --expires-in 60 "s3://$b/pre signed+ü")
	same "$(curl -fsS "$url")" presigned
	curl -sS "${url}0" | grep '<Code>SignatureDoesNotMatch</Code>'
}

kms() {
	local key before
	key=$(aws kms create-key --query KeyMetadata.Arn --output text)
	aws s3 mb "s3://$k"
	aws s3api put-bucket-encryption --bucket "$k" --server-side-encryption-configuration \
		'{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"aws:kms","KMSMasterKeyID":"'"$key"'"},"BucketKeyEnabled":true}]}'
	same "$(aws s3api get-bucket-encryption --bucket "$k" --query 'ServerSideEncryptionConfiguration.Rules[0].BucketKeyEnabled')" true
	before=$(kms_requests)
	mkdir many
	for i in $(seq 20); do echo "$i" >"many/$i"; done
	file $((9 << 20)) many/large
	aws s3 sync --only-show-errors many "s3://$k/"
	aws s3 sync --only-show-errors "s3://$k/" back
	diff -r many back
	[ $(($(kms_requests) - before)) -lt 10 ] || fail "$(($(kms_requests) - before)) KMS requests"
	same "$(aws s3api head-object --bucket "$k" --key large --query '[ServerSideEncryption,SSEKMSKeyId,BucketKeyEnabled]' --output text | tr '\t' ' ')" "aws:kms $key True"
	aws s3 cp --only-show-errors --sse aws:kms --sse-kms-key-id "$key" many/1 "s3://$b/kms"
	same "$(aws s3api head-object --bucket "$b" --key kms --query ServerSideEncryption --output text)" aws:kms
	aws kms disable-key --key-id "$key"
	refused KMS.DisabledException aws s3 cp "s3://$k/1" -
	aws kms enable-key --key-id "$key"
	aws s3 rb --force "s3://$k"
}

ssec() {
	aws s3 mb "s3://$c"
	echo secret >one
	head -c 32 /dev/urandom >key
	refused AccessDenied aws s3 cp --sse-c AES256 --sse-c-key fileb://key one "s3://$c/one"
	allow_ssec "$c"
	aws s3 cp --only-show-errors --sse-c AES256 --sse-c-key fileb://key one "s3://$c/one"
	aws s3 cp --only-show-errors --sse-c AES256 --sse-c-key fileb://key "s3://$c/one" - | cmp one -
	refused 400 aws s3 cp "s3://$c/one" -
	file $((9 << 20)) large
	aws s3 cp --only-show-errors --sse-c AES256 --sse-c-key fileb://key large "s3://$c/large"
	aws s3 cp --only-show-errors --sse-c AES256 --sse-c-key fileb://key "s3://$c/large" back
	cmp large back
	aws s3 cp --only-show-errors --sse-c-copy-source AES256 --sse-c-copy-source-key fileb://key "s3://$c/large" "s3://$c/plain"
	aws s3 cp --only-show-errors "s3://$c/plain" - | cmp large -
	aws s3 rb --force "s3://$c"
}

versions() {
	local first marker
	aws s3 mb "s3://$v"
	aws s3api put-bucket-versioning --bucket "$v" --versioning-configuration Status=Enabled
	same "$(aws s3api get-bucket-versioning --bucket "$v" --query Status --output text)" Enabled
	echo 1 >one
	first=$(aws s3api put-object --bucket "$v" --key x --body one --query VersionId --output text)
	echo 2 >two
	aws s3api put-object --bucket "$v" --key x --body two >put
	marker=$(aws s3api delete-object --bucket "$v" --key x --query VersionId --output text)
	refused 404 aws s3api head-object --bucket "$v" --key x
	same "$(aws s3api list-object-versions --bucket "$v" --query '[length(Versions),length(DeleteMarkers)]' --output text | tr '\t' ' ')" '2 1'
	aws s3api get-object --bucket "$v" --key x --version-id "$first" got >out
	cmp one got
	aws s3api delete-object --bucket "$v" --key x --version-id "$marker" >deleted
	aws s3 cp --only-show-errors "s3://$v/x" - | cmp two -
	aws s3api list-object-versions --bucket "$v" --query '{Objects: Versions[].{Key:Key,VersionId:VersionId}}' --output json >all
	aws s3api delete-objects --bucket "$v" --delete file://all >deleted
	aws s3api delete-bucket --bucket "$v"
}

errors() {
	refused NoSuchBucket aws s3api list-objects-v2 --bucket "none-$b"
	refused NoSuchKey aws s3api get-object --bucket "$b" --key none none
	refused 404 aws s3api head-object --bucket "$b" --key none
	refused BucketNotEmpty aws s3api delete-bucket --bucket "$b"
	AWS_SECRET_ACCESS_KEY=wrong refused SignatureDoesNotMatch aws s3 ls
	AWS_ACCESS_KEY_ID=AKIANOBODY0000000000 refused InvalidAccessKeyId aws s3 ls
	refused NoSuchLifecycleConfiguration aws s3api get-bucket-lifecycle-configuration --bucket "$b"
	refused NoSuchCORSConfiguration aws s3api get-bucket-cors --bucket "$b"
	refused NoSuchWebsiteConfiguration aws s3api get-bucket-website --bucket "$b"
	refused NoSuchBucketPolicy aws s3api get-bucket-policy --bucket "$b"
	refused InvalidArgument aws s3api list-objects-v2 --bucket "$b" --page-size -1
}

conditions() {
	echo 1 >one
	local etag
	etag=$(aws s3api put-object --bucket "$b" --key cond --body one --query ETag --output text)
	aws s3api get-object --bucket "$b" --key cond --if-match "$etag" got >out
	refused PreconditionFailed aws s3api get-object --bucket "$b" --key cond --if-match '"0123"' got
	refused 304 aws s3api get-object --bucket "$b" --key cond --if-none-match "$etag" got
}

checksums() {
	local algorithm
	echo sums >one
	[ "$short" ] && algorithms=("${algorithms[0]}")
	for algorithm in "${algorithms[@]}"; do
		aws s3api put-object --bucket "$b" --key "sum-$algorithm" --body one --checksum-algorithm "$algorithm" >put
		aws s3api head-object --bucket "$b" --key "sum-$algorithm" --checksum-mode ENABLED | grep "Checksum$algorithm\""
		aws s3api get-object --bucket "$b" --key "sum-$algorithm" --checksum-mode ENABLED got >out
		cmp one got
		same "$(aws s3api get-object-attributes --bucket "$b" --key "sum-$algorithm" --object-attributes Checksum ObjectSize --query ObjectSize)" 5
	done
	# Or it tries again, and waits longer each time.
	export AWS_MAX_ATTEMPTS=1
	refused BadDigest aws s3api put-object --bucket "$b" --key wrong --body one --checksum-sha256 "$(head -c 32 /dev/zero | base64)"
	refused BadDigest aws s3api put-object --bucket "$b" --key wrong --body one --content-md5 "$(head -c 16 /dev/zero | base64)"
	refused 404 aws s3api head-object --bucket "$b" --key wrong
	# Integrity that newer clients add by themselves, and can be told not to.
	AWS_REQUEST_CHECKSUM_CALCULATION=when_required AWS_RESPONSE_CHECKSUM_VALIDATION=when_required aws s3 cp --only-show-errors one "s3://$b/required"
	aws s3 cp --only-show-errors "s3://$b/required" - | cmp one -
}

pages() {
	local i
	mkdir pages
	for i in $(seq 25); do echo >"pages/$i"; done
	aws s3 cp --recursive --only-show-errors pages "s3://$b/pages/"
	same "$(aws s3api list-objects-v2 --bucket "$b" --prefix pages/ --page-size 4 --query 'length(Contents)')" 25
	same "$(aws s3api list-objects --bucket "$b" --prefix pages/ --page-size 4 --query 'length(Contents)')" 25
	same "$(aws s3api list-object-versions --bucket "$b" --prefix pages/ --page-size 4 --query 'length(Versions)')" 25
	aws s3api list-objects-v2 --bucket "$b" --prefix pages/ --max-items 10 >first
	same "$(aws s3api list-objects-v2 --bucket "$b" --prefix pages/ --starting-token "$(python3 -c 'import json; print(json.load(open("first"))["NextToken"])')" --query 'length(Contents)')" 15
	same "$(aws s3api list-objects-v2 --bucket "$b" --delimiter / --prefix pag --query 'CommonPrefixes[].Prefix' --output text)" pages/
}

waiters() {
	(
		aws s3api wait object-exists --bucket "$b" --key waited && touch seen
	) &
	echo | aws s3 cp --only-show-errors - "s3://$b/waited"
	wait
	[ -e seen ]
	aws s3 rm --only-show-errors "s3://$b/waited"
	aws s3api wait object-not-exists --bucket "$b" --key waited
}

remove() {
	aws s3 rb --force "s3://$b"
	refused NoSuchBucket aws s3 ls "s3://$b"
}

# Each call starts the CLI anew: when time is short, each generation does what the
# other leaves out.
all=(buckets odd large parts sync tags presigned kms ssec versions errors conditions checksums pages waiters remove)
[ "$short" ] && all=("${brief[@]}")
for f in "${all[@]}"; do
	check "$f" "$f"
done
