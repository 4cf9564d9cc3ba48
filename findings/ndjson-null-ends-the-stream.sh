#!/bin/sh
# A line with the valid JSON text `null` ends ndjson's stream: the lines behind it are lost.
#
# Where:    ndjson 2.0.0 (npm), on Node 20.20.2
# Expected: NDJSON is a JSON text a line. `null` is one, as `0`, `false` and `""` are: it comes out as a value, is passed over,
#           or is refused as a line that is no JSON is (`strict: false` lets those pass)
# Seen:     after `null` each further line gives the error "stream.push() after EOF", with `strict: false` too. In an object
#           stream of Node null is the end. The other three come out, and ndjson.stringify refuses null, but not with words
#           about lines: "May not write null values to stream"
# Matters:  what is one value to the sender cuts off the log, or the peer, for the reader; and the error speaks of the end of
#           a stream that has not ended
#
# Needs Node and npm.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --no-package-lock --ignore-scripts --prefix . ndjson@2.0.0 >/dev/null ||
  { echo 'ndjson 2.0.0 is not to be had' >&2; exit 2; }
cat >ask.cjs <<'EOF'
const ndjson = require('ndjson')
const { finished } = require('node:stream/promises')

async function read(what, text, options) {
  const seen = []
  const lines = ndjson.parse(options)
  lines.on('data', value => seen.push(JSON.stringify(value)))
  lines.on('error', error => seen.push(error.message))
  lines.end(text)
  await finished(lines).catch(() => {})
  console.log(`${what}:`, [...new Set(seen)].join(', '))
}

async function main() {
  await read('other values', '{"a":1}\n0\nfalse\n""\n{"b":2}\n')
  await read('no JSON, not strict', '{"a":1}\nnil\n{"b":2}\n', { strict: false })
  await read('null', '{"a":1}\nnull\n{"b":2}\n{"c":3}\n')
  await read('null, not strict', '{"a":1}\nnull\n{"b":2}\n{"c":3}\n', { strict: false })
}
main()
EOF
node ask.cjs >seen
echo "ndjson $(node -p 'require("ndjson/package.json").version'), node $(node --version)"
cat seen
diff seen - <<'EOF' || { echo 'CHANGED: see above'; exit 1; }
other values: {"a":1}, 0, false, "", {"b":2}
no JSON, not strict: {"a":1}, {"b":2}
null: {"a":1}, stream.push() after EOF
null, not strict: {"a":1}, stream.push() after EOF
EOF
echo 'as found'
