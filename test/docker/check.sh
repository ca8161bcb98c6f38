#!/bin/bash
# Builds the image, brings the whole of docker-compose.yml up, and checks what the files promise: healthy, a plain user, a read-only
# root, no dev dependencies, refusal to listen without ALLOW_ANONYMOUS, the README's tour as written, and an id that is still known
# after Redis and the service were killed. Everything is removed afterwards, the image aside.
#
#   test/docker/check.sh              with images from a registry
#   test/docker/check.sh --offline    with base images made here (base-images.sh) and the tests' S3 server
#
# Wants a Docker daemon with compose v2, and `npm ci` done. Ends with `N passed, N failed`.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

port=${CHECK_PORT:-17420}
compose=(docker compose -p clockwork-check -f docker-compose.yml)
if [ "${1:-}" = --offline ]; then
  compose+=(-f test/docker/compose.offline.yml)
  test/docker/base-images.sh || exit 1
fi
export PORT=$port
npm run --silent build || exit 1

passed=0 failed=0
check() {
  local title=$1
  shift
  if "$@" >/tmp/clockwork-check.$$ 2>&1; then
    passed=$((passed + 1))
    echo "ok    $title"
  else
    failed=$((failed + 1))
    echo "FAIL  $title"
    tail -n 20 /tmp/clockwork-check.$$ | sed 's/^/      /'
  fi
}
not() { ! "$@"; }
clean_up() {
  docker rm -f clockwork-check-alone >/dev/null 2>&1
  docker volume rm -f clockwork-check-alone >/dev/null 2>&1
  "${compose[@]}" down -v -t 20 >/dev/null 2>&1
  rm -f /tmp/clockwork-check.$$
}
trap clean_up EXIT

inside() { "${compose[@]}" exec -T clockwork "$@"; }
ready() { curl -fsS --retry 30 --retry-all-errors --retry-delay 1 "http://127.0.0.1:$port/readyz"; }
same() { [ "$1" = "$2" ] || { echo "$1 is not $2"; return 1; }; }
has_no() {
  local name
  for name in "$@"; do inside test -e "/app/node_modules/$name" && { echo "it has $name"; return 1; }; done
  return 0
}
# The whole tour, against what runs in the containers.
tour() { TOUR_URL=http://127.0.0.1:$port TOUR_DURABLE=everysec node test/run.mjs tour.test; }
post() {
  curl -fsS "http://127.0.0.1:$port/v1/types/check/events" -d x | grep -o '"id":"[^"]*"' | cut -d '"' -f 4
}
known() { curl -fsS "http://127.0.0.1:$port/v1/events/$1"; }

check 'it builds' "${compose[@]}" build
check 'it comes up, healthy' "${compose[@]}" up -d --wait
check 'it is ready on Redis and S3' bash -c "curl -fsS http://127.0.0.1:$port/readyz | tee /dev/stderr | grep -q '\"kind\":\"redis\".*s3://clockwork'"
check 'it runs as a plain user' same "$(inside id -u)" 1000
check 'its root cannot be written' not inside touch /app/here
check 'it has no dev dependencies' has_no tap typescript @biomejs fast-check @redocly
check 'only loopback is published' same "$("${compose[@]}" port clockwork 7420)" "127.0.0.1:$port"
check 'the tour is as written' tour
id=$(post)
check 'the service is killed and comes back' bash -c "docker kill clockwork-check-clockwork-1 && docker start clockwork-check-clockwork-1"
check 'it is ready again' ready
check 'the event is still known' known "$id"
id=$(post)
sleep 2 # The append-only file is synced each second; what is younger may be lost with the machine, and kill is not that. To be fair to both.
check 'Redis is killed and comes back' bash -c "docker kill clockwork-check-redis-1 && docker start clockwork-check-redis-1"
check 'it is ready once more' ready
check 'the event is still known' known "$id"
"${compose[@]}" stop -t 20 clockwork >/dev/null 2>&1
check 'it stops in order' same "$(docker inspect -f '{{.State.ExitCode}}' clockwork-check-clockwork-1)" 0

alone=(docker run --name clockwork-check-alone --read-only --cap-drop ALL -p "127.0.0.1:$port:7420" -v clockwork-check-alone:/data)
check 'alone it refuses to listen to everybody unasked' not "${alone[@]}" --rm clockwork
check 'and names the variable' bash -c "docker run --rm --read-only clockwork 2>&1 | grep ALLOW_ANONYMOUS"
"${alone[@]}" -d -e ALLOW_ANONYMOUS=true clockwork >/dev/null
check 'alone, on a read-only root with a volume, it is ready' ready
id=$(post)
docker kill clockwork-check-alone >/dev/null && docker start clockwork-check-alone >/dev/null
check 'it is ready again after a kill' ready
check 'the event is still known' known "$id"

size() { docker image inspect -f '{{.Size}}' "$1"; }
echo "image: $(($(size clockwork) / 1000000)) MB, of which node:24-bookworm-slim $(($(size node:24-bookworm-slim) / 1000000)) MB"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
