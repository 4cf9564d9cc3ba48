/** The drop-in plugin portmap: nftables. */

import { nftables } from '../support/nat-site.ts'
import { portmap } from '../support/portmap.ts'

portmap(nftables)
