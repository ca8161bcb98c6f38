#!/bin/bash
# Answers `/ping/{value}` with `{value}`: a listener in bash, with nothing but curl. With jq at hand, use that instead of `field`.
#
#   examples/helloworld/listener.sh
#   curl http://127.0.0.1:7420/http/ping/hello -H 'Prefer: wait=20'
set -uo pipefail
clockwork=${CLOCKWORK_URL:-http://127.0.0.1:7420}

# field NAME: the first text of that name in the JSON that comes in.
field() { grep -o "\"$1\":\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4; }

# call METHOD PATH HEADER JSON: repeated by curl, every second, when the service is away or answers with 5xx. That is safe for a lease,
# because its key stays the same, and for a completion, because the same one twice is one. Without -f, curl would print the 5xx answers
# before the good one.
call() {
  curl -fsS --retry 30 --retry-delay 1 --retry-connrefused --max-time 60 \
    -X "$1" "$clockwork$2" -H "$3" -H 'Content-Type: application/json' -d "$4"
}

# answer PATH: prints outcome, status and the body in base64, so that no character of it needs care in JSON.
answer() {
  local path=$1 value
  if [[ $path == /ping/?* ]]; then
    value=${path#/ping/}
    # %41 becomes \x41, which printf turns into the byte.
    printf 'success 200 %s' "$(printf '%b' "${value//%/\\x}" | base64 | tr -d '\n')"
  else
    printf 'fail 404 %s' "$(printf 'There is no %s here.\n' "$path" | base64 | tr -d '\n')"
  fi
}

trap 'exit 0' INT TERM
calls=0
while true; do
  calls=$((calls + 1))
  lease=$(call POST /v1/leases "Idempotency-Key: bash-$$-$SECONDS-$calls" \
    "{\"types\":[\"HTTP\"],\"leaseMs\":30000,\"waitMs\":20000,\"worker\":\"bash $$\"}")
  # Refused, or nobody there: not the whole time again.
  [[ $lease == '{"leases":'* ]] || { sleep 1; continue; }
  attempt=$(field attemptId <<<"$lease")
  [ -n "$attempt" ] || continue
  read -r outcome status body < <(answer "$(field path <<<"$lease")"; echo)
  call PUT "/v1/attempts/$attempt/completion" "Lease-Token: $(field token <<<"$lease")" \
    "{\"outcome\":\"$outcome\",\"response\":{\"status\":$status,\"headers\":{\"Content-Type\":\"text/plain; charset=utf-8\"},
      \"bodyEncoding\":\"base64\",\"body\":\"$body\"}}" >/dev/null
done
