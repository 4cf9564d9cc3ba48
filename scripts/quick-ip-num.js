// ip-num without its tables of special ranges: it computes them when it is loaded, 14 ms, and we ask for none.

import { readFileSync } from 'node:fs'

/** Leaves out statements such as `IPv6.LOOPBACK_RANGE = IPRange_2.IPv6CidrRange.fromCidr("::1/128");` */
export function quickIpNum(building) {
  building.onLoad({ filter: /ip-num\/dist\/src\/IPNumber\.js$/ }, ({ path }) => ({
    contents: readFileSync(path, 'utf8').replace(/^IPv[46]\.[A-Z_]+ = (?:IPRange_\d|\[)[^;]*;/gm, ''),
  }))
}
