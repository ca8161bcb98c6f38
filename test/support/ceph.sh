#!/bin/bash
# A real S3 server for tests: Ceph's gateway over one monitor, one manager and one disk, all on 127.0.0.1 and all
# under one folder. Wants root and Debian's packages (150 MB; it installs them when they are missing and it may).
#
#   ceph.sh start FOLDER [PORT]   starts it in an empty FOLDER, makes a bucket, prints `export NAME=value` lines
#   ceph.sh stop FOLDER           ends the processes that FOLDER's pid files name
#
#   eval "$(test/support/ceph.sh start /tmp/ceph)"; npx tap dist/test/blob/s3.test.js; test/support/ceph.sh stop /tmp/ceph
#
# PORT (default 7480) is the gateway's; the daemons take PORT+1, PORT+2 and PORT+10 up to PORT+90.
set -euo pipefail

ACCESS_KEY=clockworktest
SECRET_KEY=clockworktestsecret
BUCKET=clockwork-test
PACKAGES="radosgw ceph-mon ceph-mgr ceph-osd"

say() { echo "ceph: $*" >&2; }
die() { say "$*"; exit 1; }

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
  local tries=$(($1 * 5)) what=$2
  shift 2
  while ! "$@" >/dev/null 2>&1; do
    ((tries-- > 0)) || die "no $what in time; see $folder/log"
    sleep 0.2
  done
}

install_packages() {
  command -v radosgw ceph-mon ceph-mgr ceph-osd ceph radosgw-admin >/dev/null && return
  [ "$(id -u)" = 0 ] || die "needs root, and the packages $PACKAGES"
  say "installing $PACKAGES"
  apt-get update -qq >&2
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $PACKAGES >&2
}

write_config() {
  local fsid=$1
  cat >"$folder/ceph.conf" <<CONF
[global]
fsid = $fsid
mon host = [v2:127.0.0.1:$((port + 1))/0,v1:127.0.0.1:$((port + 2))/0]
mon initial members = a
public network = 127.0.0.0/8
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind port min = $((port + 10))
ms bind port max = $((port + 90))

keyring = $folder/keyring
run dir = $folder/run
admin socket = $folder/run/\$name.asok
pid file = $folder/run/\$name.pid
log file = $folder/log/\$name.log
mon data = $folder/mon
mgr data = $folder/mgr
osd data = $folder/osd

# One disk, one copy, few placement groups: it is for tests.
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon max pg per osd = 1000
mgr initial modules =
osd memory target = 939524096
bluestore block size = 10737418240

[client.rgw.a]
rgw frontends = beast endpoint=127.0.0.1:$port
CONF
}

make_key() {
  local name=$1
  shift
  local caps=()
  while [ $# -gt 0 ]; do
    caps+=(--cap "$1" "$2")
    shift 2
  done
  ceph-authtool "$folder/keyring" --gen-key -n "$name" "${caps[@]}" >/dev/null
}

make_keys() {
  ceph-authtool --create-keyring "$folder/keyring" >/dev/null
  make_key mon. mon 'allow *'
  make_key client.admin mon 'allow *' mgr 'allow *' osd 'allow *'
  make_key mgr.x mon 'allow profile mgr' osd 'allow *'
  make_key osd.0 mon 'allow profile osd' mgr 'allow profile osd' osd 'allow *'
  make_key client.rgw.a mon 'allow rw' mgr 'allow rw' osd 'allow rwx'
}

start() {
  [ -z "$(ls -A "$folder" 2>/dev/null)" ] || die "$folder is not empty"
  install_packages
  mkdir -p "$folder"/{run,log,mon,mgr,osd}
  local fsid disk as_root=(--setuser root --setgroup root)
  fsid=$(cat /proc/sys/kernel/random/uuid)
  disk=$(cat /proc/sys/kernel/random/uuid)
  write_config "$fsid"
  export CEPH_CONF=$folder/ceph.conf
  # Whatever fails from here on leaves no daemon behind.
  trap 'stop >&2' ERR EXIT
  make_keys

  monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$((port + 1)),v1:127.0.0.1:$((port + 2))]" \
    "$folder/monmap" >/dev/null
  ceph-mon --mkfs -i a --monmap "$folder/monmap" --keyring "$folder/keyring" "${as_root[@]}" >&2
  ceph-mon -i a "${as_root[@]}" >&2
  say "monitor up"
  ceph-mgr -i x "${as_root[@]}" >&2

  timeout 60 ceph osd new "$disk" >/dev/null
  ceph-osd -i 0 --mkfs --osd-uuid "$disk" "${as_root[@]}" >/dev/null 2>&1
  ceph-osd -i 0 "${as_root[@]}" >/dev/null 2>&1
  wait_for 60 "disk" sh -c "timeout 10 ceph osd stat | grep -q '1 up'"
  say "disk up"

  timeout 120 radosgw -n client.rgw.a "${as_root[@]}" >&2
  wait_for 60 "gateway on port $port" bash -c "echo >/dev/tcp/127.0.0.1/$port"
  radosgw-admin user create --uid=clockwork --display-name=clockwork \
    --access-key=$ACCESS_KEY --secret-key=$SECRET_KEY >/dev/null 2>&1
  make_bucket
  trap - ERR EXIT
  say "up on http://127.0.0.1:$port"
  print_environment
}

# A bucket is one signed PUT, and curl signs: no client library is needed here.
make_bucket() {
  curl -fsS -o /dev/null -X PUT --user "$ACCESS_KEY:$SECRET_KEY" --aws-sigv4 "aws:amz:us-east-1:s3" \
    -H 'x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' \
    "http://127.0.0.1:$port/$BUCKET"
}

print_environment() {
  cat <<ENV
export S3_TEST_ENDPOINT=http://127.0.0.1:$port
export S3_TEST_BUCKET=$BUCKET
export S3_ENDPOINT=http://127.0.0.1:$port
export S3_BUCKET=$BUCKET
export S3_FORCE_PATH_STYLE=true
export AWS_ACCESS_KEY_ID=$ACCESS_KEY
export AWS_SECRET_ACCESS_KEY=$SECRET_KEY
export AWS_REGION=us-east-1
ENV
}

stop() {
  local file pid
  for file in "$folder"/run/{client.rgw.a,osd.0,mgr.x,mon.a}.pid; do
    [ -s "$file" ] || continue
    pid=$(cat "$file")
    # A number that has meanwhile become another program's is left alone.
    grep -qs -e radosgw -e ceph "/proc/$pid/comm" || continue
    kill "$pid" 2>/dev/null || continue
    for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null && sleep 0.1; done
    kill -9 "$pid" 2>/dev/null || true
    rm -f "$file"
  done
  say "stopped"
}

command=${1:-}
folder=${2:-}
port=${3:-7480}
[ -n "$folder" ] || command=
case $command in
  start)
    mkdir -p "$folder"
    folder=$(realpath "$folder")
    start
    ;;
  stop)
    folder=$(realpath "$folder")
    stop
    ;;
  *) die "usage: ceph.sh start FOLDER [PORT] | ceph.sh stop FOLDER" ;;
esac
