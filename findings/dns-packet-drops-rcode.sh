#!/bin/sh
# dns-packet writes another message than it is given, and says nothing.
#
# Where:    dns-packet 5.6.1 (npm), on Node 20.20.2
# Expected: an answer built with `rcode: 'NXDOMAIN'`, the name and form in which decode gives it, says NXDOMAIN; and a
#           record type that is not known, such as HTTPS and SVCB (RFC 9460) or URI (RFC 7553), is refused with an error
# Seen:     the answer says NOERROR: encode looks at `flags` alone, of which decode gives `rcode` beside the number. A
#           question of a type that is not known goes out as type 0, which is reserved. By number it is kept, written as
#           UNKNOWN_65
# Matters:  "no such name" becomes "the name is there, and has nothing of this type", after which some resolvers go on
#           along their search list and others do not; and HTTPS is what browsers ask for first
#
# Needs Node and npm.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --no-package-lock --ignore-scripts --omit=dev --prefix . dns-packet@5.6.1 >/dev/null
cat >ask.cjs <<'EOF'
const dns = require('dns-packet')
const questions = [{ type: 'A', name: 'web.example' }]
const said = message => dns.decode(dns.encode({ type: 'response', id: 1, questions, ...message })).rcode
console.log(`flags: 3 says ${said({ flags: 3 })}`)
console.log(`rcode: 'NXDOMAIN' says ${said({ rcode: 'NXDOMAIN' })}`)
for (const type of ['SRV', 'HTTPS', 'SVCB', 'URI', 'UNKNOWN_65']) {
  const bytes = dns.encode({ type: 'query', id: 1, questions: [{ type, name: 'web.example' }] })
  console.log(`${type} is sent as type ${bytes.readUInt16BE(bytes.length - 4)}`)
}
EOF
node ask.cjs >seen
echo "dns-packet $(node -p 'require("dns-packet/package.json").version'), node $(node --version)"
cat seen
diff seen - <<'EOF' || { echo 'CHANGED: see above'; exit 1; }
flags: 3 says NXDOMAIN
rcode: 'NXDOMAIN' says NOERROR
SRV is sent as type 33
HTTPS is sent as type 0
SVCB is sent as type 0
URI is sent as type 0
UNKNOWN_65 is sent as type 65
EOF
echo 'as found'
