/** What must not get through: libnftables. */

import { attack } from '../support/nat-attacks.ts'
import { libnftables } from '../support/nat-site.ts'

attack(libnftables)
