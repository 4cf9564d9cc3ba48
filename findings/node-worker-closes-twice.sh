#!/bin/sh
# A worker thread of Node that ends closes a file of another thread.
#
# Where:    Node 20.20.2 with koffi 3.3.4 (npm); any other way to call close(2) does the same
# Expected: a descriptor that a worker opened with fs.openSync and closed with the C library's close is gone, and its number
#           belongs to whoever opens the next file
# Seen:     when the worker ends, Node closes that number once more, without a warning, whoever's it is by then. The main
#           thread's file is shut under it. With `trackUnmanagedFds: false` it stays open
# Matters:  where C is called to accept connections in several workers, the end of one of them cuts off a client of
#           another; and in the next moment the number is a third one's, who gets bytes that are not for him
#
# Needs Node and npm.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --no-package-lock --ignore-scripts --prefix . koffi@3.3.4 >/dev/null
cat >ask.cjs <<'EOF'
const { closeSync, fstatSync, openSync } = require('node:fs')
const { isMainThread, parentPort, Worker, workerData } = require('node:worker_threads')
const close = require('koffi').load(null).func('int close(int)')

if (isMainThread) main()
else {
  const fd = openSync('/dev/null', 'r')
  if (workerData === 'fs') closeSync(fd)
  else close(fd)
  parentPort.postMessage(fd)
  parentPort.once('message', () => parentPort.close())
}

async function main() {
  await ask('closed with fs:', 'fs', {})
  await ask('closed with C:', 'C', {})
  await ask('closed with C, not tracked:', 'C', { trackUnmanagedFds: false })
}

/** Opens files of our own until one has the number that a worker had and closed; lets the worker end. */
async function ask(what, workerData, options) {
  const worker = new Worker(__filename, { workerData, ...options })
  const number = await new Promise(resolve => worker.once('message', resolve))
  const ours = []
  while (!ours.includes(number)) ours.push(openSync('/dev/null', 'r'))
  const ended = new Promise(resolve => worker.once('exit', resolve))
  worker.postMessage('end')
  await ended
  console.log(what, isOpen(number) ? 'our file is open' : 'our file is closed')
  for (const fd of ours) if (isOpen(fd)) closeSync(fd)
}

function isOpen(fd) {
  try {
    return fstatSync(fd) !== undefined
  } catch {
    return false
  }
}
EOF
node ask.cjs >seen
echo "node $(node --version), koffi $(sed -n 's/^ *"version": "\(.*\)",*/\1/p' node_modules/koffi/package.json)"
cat seen
diff seen - <<'EOF' || { echo 'CHANGED: see above'; exit 1; }
closed with fs: our file is open
closed with C: our file is closed
closed with C, not tracked: our file is open
EOF
echo 'as found'
