/**
 * The words of the command: which commands there are, their arguments and options, and what each is for. What one
 * does is a file of its own beside this folder, loaded when it is called: whoever asks for help, and the manual, need
 * none of it.
 *
 *     publishing   publish, unpublish, ports, reconcile, daemon
 *     looking      doctor, trace, events, top, resolve, egress …, graph
 *     attaching    network …, host …, ps, check, attach, detach, oci-hook
 *     installing   install, uninstall
 */

import type { CommandText } from '../../install/install.ts'
import type { Command } from '../command.ts'
import type { Terminal } from '../terminal.ts'
import { addAttaching } from './attaching.ts'
import { addInstalling } from './installing.ts'
import { addLooking } from './looking.ts'
import { addPublishing, type Run } from './publishing.ts'

/**
 * @param run a whole command line: what launchers hand over to the daemon
 * @param describe what the commands say of themselves, for manual and completions
 */
export function addCommands(
  program: Command,
  terminal: Terminal,
  run: Run,
  describe: () => CommandText[],
): void {
  addPublishing(program, terminal, run)
  addLooking(program, terminal)
  addAttaching(program, terminal)
  addInstalling(program, terminal, describe)
}
