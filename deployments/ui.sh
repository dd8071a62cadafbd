#!/usr/bin/env bash
# A Prefect server on loopback with its own home in .ui/, the deployments of prefect.yaml, and a worker. Ctrl-C ends all.
set -euo pipefail
cd "$(dirname "$0")/.."
port=${PORT:-4200}
export SLUICE_ROOT=$PWD
export PREFECT_HOME=$PWD/.ui
export PREFECT_API_URL=http://127.0.0.1:$port/api
export PREFECT_SERVER_ANALYTICS_ENABLED=false
bin=$PWD/.venv/bin

answers() {
  "$bin/python" - "$PREFECT_API_URL/health" <<'P'
import sys, urllib.request
try:
    urllib.request.urlopen(sys.argv[1], timeout=1)
except OSError:
    sys.exit(1)
P
}

# Ours would fail to start there, and the deployments would go to whichever server it is.
if answers; then
  echo "port $port is in use by another Prefect server: end it, or choose a port: PORT=4201 make ui" >&2
  exit 2
fi
"$bin/prefect" server start --host 127.0.0.1 --port "$port" >"$PREFECT_HOME.log" 2>&1 &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
for _ in $(seq 120); do
  answers && break
  kill -0 $server 2>/dev/null || { echo "the Prefect server did not start: see .ui.log" >&2; exit 1; }
  sleep 1
done
"$bin/prefect" work-pool create sluice --type process --overwrite >/dev/null
"$bin/prefect" --no-prompt deploy --all --prefect-file deployments/prefect.yaml
echo "Watch and start runs at http://127.0.0.1:$port (Deployments > equal/python-docs > Run). Ctrl-C ends the server."
"$bin/prefect" worker start --pool sluice --limit 1
