/** Rule sets of the iptables backend, with the nft variant of iptables, where the legacy variant has tables too. */

import { rules } from '../support/nat-rules.ts'
import { iptablesMixed } from '../support/nat-site.ts'

rules(iptablesMixed)
