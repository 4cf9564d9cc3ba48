/** tsnet itself, on a machine and off it. */

import type { CommandText } from '../../install/install.ts'
import type { Command } from '../command.ts'
import type { InstallOptions, UninstallOptions } from '../install/install.ts'
import type { Terminal } from '../terminal.ts'

/** @param describe what the commands say of themselves, for manual and completions */
export function addInstalling(program: Command, terminal: Terminal, describe: () => CommandText[]): void {
  program
    .command('install')
    .description('put tsnet where runtimes, dockerd, the init system and shells look for it')
    .option('--bin-dir <folder>', 'for the plugin')
    .option('--conf-dir <folder>', 'for a network list')
    .option('--prefix <folder>', 'for the command, its manual and its completions')
    .option('--as <names>', 'be these plugins too: bridge,portmap,… or all')
    .option('--docker', 'have dockerd use our docker-proxy')
    .option('--docker-config <file>', "dockerd's settings; implies --docker")
    .option('--init <system>', 'auto, systemd, openrc, sysv or none')
    .option('--no-enable', 'do not start the daemon, now or with the host')
    .option('--root <folder>', 'install into a folder that stands for /; nothing is started')
    .option('--dry-run', 'say what would be done')
    .option('--json', 'print the steps as JSON')
    .action(async (options: InstallOptions) => {
      const { install } = await import('../install/install.ts')
      await install(terminal, describe(), options)
    })
  program
    .command('uninstall')
    .description('take away what install put there, and put back what was there before')
    .option('--root <folder>', 'as it was given to install')
    .option('--dry-run', 'say what would be done')
    .option('--json', 'print the steps as JSON')
    .action(async (options: UninstallOptions) => {
      const { uninstall } = await import('../install/install.ts')
      await uninstall(terminal, options)
    })
}
