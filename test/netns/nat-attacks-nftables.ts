/** What must not get through: nftables. */

import { attack } from '../support/nat-attacks.ts'
import { nftables } from '../support/nat-site.ts'

attack(nftables)
