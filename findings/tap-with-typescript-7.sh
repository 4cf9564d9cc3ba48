#!/bin/sh
# tap runs no test at all where TypeScript 7 is installed, not even one in JavaScript.
#
# Where:    tap 21.7.1 with typescript 7.0.2 (npm), on Node 20.20.2
# Expected: tap asks for "typescript": ">=4.2" by the package that it compiles with, so npm installs 7.0.2 beside it without a
#           warning; a test in JavaScript needs no compiler
# Seen:     before a test's first line tap loads its compiler, a fork of ts-node, which reads `ts.sys.fileExists`. Since
#           version 7 `require('typescript')` has no `sys`: a TypeError, and "no tests found". With 5.9.3 the same test passes
# Matters:  the range `>=4.2` takes in every version to come; and the error names neither TypeScript nor its version
#
# Needs Node and npm.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >a.test.cjs <<'EOF'
require('tap').pass('is run')
EOF
try() { # TYPESCRIPT
  rm -rf node_modules package.json
  echo '{ "private": true }' >package.json
  npm install --loglevel=warn --no-audit --no-fund --no-package-lock --ignore-scripts \
    tap@21.7.1 "typescript@$1" >said 2>&1 ||
    { echo "tap 21.7.1 or typescript $1 is not to be had" >&2; exit 2; }
  echo "typescript $(node -p 'require("typescript/package.json").version')"
  echo " warnings of npm about it: $(grep -ci 'typescript\|peer' said || true)"
  echo " has sys: $(node -p '"sys" in require("typescript")')"
  ./node_modules/.bin/tap --disable-coverage --reporter=tap a.test.cjs >tapped 2>&1 && echo ' tap: success' || echo ' tap: failure'
  grep -o 'TypeError.*\|no tests found\|pass: [0-9]*, fail: [0-9]*' tapped | sed 's/^/ /' | uniq
}
{
  try 5.9.3
  try 7.0.2
  compiler=@isaacs/ts-node-temp-fork-for-pr-2009/package.json
  echo "tap's compiler asks for typescript $(node -p "require('$compiler').peerDependencies.typescript")"
} >seen
echo "node $(node --version)"
cat seen
diff seen - <<'EOF' || { echo 'CHANGED: see above'; exit 1; }
typescript 5.9.3
 warnings of npm about it: 0
 has sys: true
 tap: success
typescript 7.0.2
 warnings of npm about it: 0
 has sys: false
 tap: failure
 TypeError: Cannot read properties of undefined (reading 'fileExists')
 no tests found
 pass: 0, fail: 1
tap's compiler asks for typescript >=4.2
EOF
echo 'as found'
