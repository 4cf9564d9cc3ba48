/** Calls of a side as steps of a plan: each plugin as a runtime's library runs it, with the result of the one before. */

import { type Call, type PluginConfig, withCapabilities } from '../../test/support/libcni.ts'
import type { Part } from '../meter/meter.ts'
import type { Figure, Step } from '../meter/plan.ts'
import { keepSample, type Side } from './sides.ts'

export type Command = 'ADD' | 'DEL'

/**
 * One ADD, or one DEL, of all plugins of a side's list.
 * @param work what its time is kept under; undefined: not at all
 */
export const callOf = (side: Side, command: Command, work?: string): Part => ({
  steps: stepsOf(side, command, side.call),
  ...(work !== undefined && { keep: figures => keepSample(side, work, sumOf(figures).ms) }),
})

/** The same by another program, such as strace. @param before puts words before each command line */
export const callBy = (side: Side, command: Command, before: (command: string[]) => string[]): Part => ({
  steps: stepsOf(side, command, side.call, before),
})

/** The ADD of the container that stays. */
export const addNeighbour = (side: Side): Part => ({ steps: stepsOf(side, 'ADD', side.neighbour) })

export function sumOf(figures: readonly Figure[]): { ms: number; processorMs: number; waitedMs: number } {
  const sum = (of: (figure: Figure) => number) => figures.reduce((total, figure) => total + of(figure), 0)
  return {
    ms: sum(figure => figure.ms),
    processorMs: sum(figure => figure.processorMs ?? Number.NaN),
    waitedMs: sum(figure => figure.waitedMs ?? Number.NaN),
  }
}

function stepsOf(side: Side, command: Command, call: Call, before = (command: string[]) => command): Step[] {
  const { plugins } = withCapabilities(side.list, call.capabilities ?? {})
  const answer = (plugin: PluginConfig) => `${call.containerId}-${plugin.type}`
  const runs = (command === 'ADD' ? plugins : plugins.toReversed()).map((plugin): Step => {
    // ADD has the result of the plugin before, DEL that of the whole list.
    const previous = plugins.at(command === 'ADD' ? plugins.indexOf(plugin) - 1 : -1)
    const hasPrevious = previous !== undefined && (command === 'DEL' || plugin !== plugins[0])
    const config = JSON.stringify({ ...plugin, cniVersion: side.list.cniVersion, name: side.list.name })
    return {
      run: {
        name: command === 'ADD' ? answer(plugin) : `DEL-${answer(plugin)}`,
        command: before([`${side.folder}/${plugin.type}`]),
        env: { ...side.env, ...environment(side, command, call) },
        stdin: hasPrevious
          ? [config.slice(0, -1), ',"prevResult":', { answerOf: answer(previous) }, '}']
          : [config],
      },
    }
  })
  return [{ netns: side.host.netns }, ...runs]
}

/** As the CNI specification has it. */
const environment = ({ folder }: Side, command: Command, call: Call): Record<string, string> => ({
  CNI_COMMAND: command,
  CNI_CONTAINERID: call.containerId,
  CNI_NETNS: call.netns,
  CNI_IFNAME: call.ifname,
  CNI_PATH: folder,
})
