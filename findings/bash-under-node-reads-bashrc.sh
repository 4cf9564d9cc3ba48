#!/bin/sh
# `bash -c` that Node starts reads ~/.bashrc, as if somebody had logged in over the network.
#
# Where:    bash 5.2.15 (Debian 12), Node 20.20
# Expected: `bash -c COMMAND` is no interactive shell and reads no start-up file but that of BASH_ENV
# Seen:     what child_process calls a pipe is a socketpair(2), and bash takes a stdin that is a socket for that of rshd: it
#           reads ~/.bashrc, whatever that prints comes before the command's own output, and whatever it waits for is waited for.
#           Not with stdin closed or ignored, from a real pipe, or where SHLVL says that a shell started it
# Matters:  a test or a service of Node that runs `bash -c` is right on one machine and slow or wrong on another, by what people
#           keep in ~/.bashrc; service managers and containers have no SHLVL
#
# Needs node and bash.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
echo 'echo read' >"$dir/.bashrc"
cat >"$dir/ask.js" <<'EOF'
const { spawnSync } = require('node:child_process')
const say = (what, stdio, env = {}) => {
  const { stdout } = spawnSync('bash', ['-c', 'echo done'], { stdio, env: { PATH: process.env.PATH, HOME: process.argv[2], ...env } })
  console.log(`${what}: ${String(stdout).trim().split('\n').join(' ')}`)
}
say('pipe', ['pipe', 'pipe', 'inherit'])
say('ignore', ['ignore', 'pipe', 'inherit'])
say('pipe, SHLVL=1', ['pipe', 'pipe', 'inherit'], { SHLVL: '1' })
EOF
bash --version | head -n 1
node --version
node "$dir/ask.js" "$dir" >"$dir/seen"
echo true | env -i PATH="$PATH" HOME="$dir" bash -c 'echo "a real pipe: done"' >>"$dir/seen"
cat "$dir/seen"
diff "$dir/seen" - <<'EOF' || { echo 'CHANGED: see above'; exit 1; }
pipe: read done
ignore: done
pipe, SHLVL=1: done
a real pipe: done
EOF
