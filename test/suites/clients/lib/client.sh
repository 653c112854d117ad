# SPDX-License-Identifier: Apache-2.0
#
# What the scripts of clients have in common. A script sources this, calls `check
# NAME FUNCTION` for each thing that a user of its client does.
# README.md says what it finds in its environment.
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
root=$(cd "$here/../../.." && pwd)
client=$(basename "$0")
short=${SUITE_SHORT:-}
: "${COFFER_ENDPOINT:?the address of a server}" "${AWS_ACCESS_KEY_ID:?}" "${AWS_SECRET_ACCESS_KEY:?}" "${AWS_DEFAULT_REGION:?}"
host=${COFFER_ENDPOINT#*://}
port=${host##*:}

work=$(mktemp -d "${SUITE_TMP:-${TMPDIR:-/tmp}}/$client.XXXXXX")
export HOME=$work/home
mkdir -p "$HOME"
# Clients must find what the page says and nothing that this machine has.
unset AWS_PROFILE AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE AWS_SESSION_TOKEN AWS_REGION AWS_CA_BUNDLE
cleanups=()
on_exit() {
	local c
	for c in ${cleanups[@]+"${cleanups[@]}"}; do "$c" >/dev/null 2>&1; done
	rm -rf "$work"
}
trap on_exit EXIT
# For notes to whoever reads along, out of a check's own output.
exec 3>&2
# curl's way to be told whom to trust.
[ -z "${SUITE_CA:-}" ] || export CURL_CA_BUNDLE=$SUITE_CA

# check NAME FUNCTION...: runs it with set -e, in a directory of its own, and says how it went.
check() {
	local name=$1 log=$work/log rc why
	shift
	mkdir -p "$work/in"
	set +e
	( set -e; cd "$work/in"; "$@" ) >"$log" 2>&1
	rc=$?
	if [ $rc -eq 0 ]; then
		echo "ok $name"
	elif [ $rc -eq 77 ]; then
		echo "skip $name: $(tail -n 1 "$log")"
	else
		why=$(grep -v '^[[:space:]]*$' "$log" | tail -n "${CLIENT_LINES:-3}" | tr '\n' ' ' | cut -c1-600)
		echo "FAIL $name: $why"
	fi
	rm -rf "$work/in"
}

# Of a function that check runs: leaves it out, with a reason.
skip() {
	echo "$*"
	exit 77
}

# Of a whole script.
skip_all() {
	echo "skip $client: $*"
	exit 0
}

# fail WHY...: of a function that check runs.
fail() {
	echo "$*"
	exit 1
}

# same GOT WANT [WHAT]: both are text.
same() {
	[ "$1" = "$2" ] || fail "${3:-it}: got '$1', want '$2'"
}

# refused CODE COMMAND...: the command must fail and name the code.
refused() {
	local code=$1 out
	shift
	if out=$("$@" 2>&1); then
		fail "this should have failed with $code: $*"
	fi
	grep -q -- "$code" <<<"$out" || fail "want $code, got: $out"
}

# need PACKAGE...: Debian packages. A script that cannot have them is skipped.
need() {
	"$root/scripts/install" "$@" >"$work/install" 2>&1 ||
		skip_all "cannot install $*: $(tail -n 1 "$work/install")"
}

# What this file and most scripts use beside their clients.
need python3 curl

# snippet NAME: prints the block of docs/clients.md whose fence ends with that name,
# with this server's address and keys in the place of the page's. So the page is
# exactly what was tested.
snippet() {
	python3 "$here/lib/snippet.py" "$root/docs/clients.md" "$1"
}

# kms_requests: how many the server has made for S3 callers so far.
kms_requests() {
	curl -fsS "$COFFER_METRICS" | awk '/^coffer_account_kms_requests_total/ { n += $NF } END { print n + 0 }'
}

# file SIZE NAME: SIZE bytes that do not compress, the same on every run.
file() {
	python3 "$here/lib/bytes.py" "$1" "$2" >"$2"
}

sum() {
	sha256sum "$@" | cut -d' ' -f1
}

# signed METHOD PATH-AND-QUERY [CURL-FLAG...]: a request that curl signs. Until
# version 8 it signs only queries that are in order, with = after every name.
signed() {
	local method=$1 target=$2
	shift 2
	curl -sS --fail-with-body --path-as-is -X "$method" --aws-sigv4 "aws:amz:$AWS_DEFAULT_REGION:s3" \
		-H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" "$@" "$COFFER_ENDPOINT$target"
}

# kms_key: makes a KMS key and prints its ARN, for clients that know no KMS.
kms_key() {
	curl -sS --fail-with-body --aws-sigv4 "aws:amz:$AWS_DEFAULT_REGION:kms" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
		-H 'Content-Type: application/x-amz-json-1.1' -H 'X-Amz-Target: TrentService.CreateKey' -d '{}' "$COFFER_ENDPOINT/" |
		python3 -c 'import json, sys; print(json.load(sys.stdin)["KeyMetadata"]["Arn"])'
}

# configure BUCKET SUB-RESOURCE XML: puts a document of a bucket's configuration.
configure() {
	signed PUT "/$1?$2=" -d "$3" -H 'Content-Type:' -H "Content-MD5: $(printf %s "$3" | md5sum | cut -d' ' -f1 | python3 -c 'import base64, sys; print(base64.b64encode(bytes.fromhex(sys.stdin.read())).decode())')"
}

# kms_bucket BUCKET: makes a bucket whose default is SSE-KMS with a bucket key, and prints the key's ARN.
kms_bucket() {
	local key
	key=$(kms_key) && signed PUT "/$1" && configure "$1" encryption \
		"<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>$key</KMSMasterKeyID></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>" || return 1
	echo "$key"
}

# allow_ssec BUCKET: lets customers' keys into a bucket, which new buckets refuse.
allow_ssec() {
	configure "$1" encryption '<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BlockedEncryptionTypes><EncryptionType>NONE</EncryptionType></BlockedEncryptionTypes></Rule></ServerSideEncryptionConfiguration>'
}

# header NAME PATH: of an object, as HEAD shows it.
header() {
	signed HEAD "$2" -I | tr -d '\r' | awk -F': ' -v name="$1" 'tolower($1) == tolower(name) { print $2 }'
}

# name WORD: a bucket's name that no other script has.
name() {
	echo "$client-$1-$$" | tr -c 'a-z0-9\n' '-'
}

# Keys that clients have got wrong before.
odd_keys=('with space' 'plus+sign' 'per%cent%20' 'a//double' 'dot./.dot' 'ünïcödé' '日本語' 'emoji 🐈' "quote'\"" 'amp&lt;<>' 'semi;colon=eq' 'question?hash#' 'tilde~(paren)!*' 'back\slash' 'pipe|caret^' 'comma,at@dollar$')
