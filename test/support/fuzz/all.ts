/** All subjects. */

import type { Subject } from './fuzz.ts'
import { ofCni } from './subjects/cni.ts'
import { ofDaemon } from './subjects/daemon.ts'
import { ofDns } from './subjects/dns.ts'
import { ofHosts } from './subjects/hosts.ts'
import { ofKernel } from './subjects/kernel.ts'
import { ofRules } from './subjects/rules.ts'
import { ofRuntimes } from './subjects/runtimes.ts'
import { ofSockets } from './subjects/sockets.ts'
import { ofStateFiles } from './subjects/state.ts'
import { ofWords } from './subjects/words.ts'

export const allSubjects: readonly Subject[] = [
  ...ofKernel,
  ...ofRules,
  ...ofWords,
  ...ofRuntimes,
  ...ofSockets,
  ...ofDaemon,
  ...ofStateFiles,
  ...ofCni,
  ...ofDns,
  ...ofHosts,
]
