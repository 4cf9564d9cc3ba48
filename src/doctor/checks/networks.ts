/** Network lists, as `tsnet check` reads them, and whether their networks have addresses left. */

import { describeNetwork, filesIn, lintFile, listInfos } from '../../networks/networks.ts'
import type { Check, Found } from '../fault.ts'
import type { Patient } from '../patient.ts'

export const lists: Check<Patient> = {
  name: 'lists',
  about: 'network lists can be read and run, and meet neither each other nor the host',
  look: async ({ subject, networks, host }) => {
    const files = subject.kind === 'host' ? filesIn(host.confDir) : networks.map(({ file }) => file)
    const linted = await Promise.all(files.map(file => lintFile(file, host)))
    return linted.flatMap(({ file, network, findings }) =>
      findings
        .filter(({ level }) => level !== 'note')
        .map(
          ({ level, message }): Found => ({
            on: network === undefined ? file : `network ${network}`,
            what: message,
            why:
              level === 'error'
                ? 'a container on it does not start'
                : 'it is not as it was meant, or in the way of others',
            cure: `mend or remove ${file}, and look again: tsnet check ${file}`,
          }),
        ),
    )
  },
}

export const addresses: Check<Patient> = {
  name: 'addresses',
  about: 'networks have addresses left',
  look: ({ networks, host }) => {
    const wanted = new Set(networks.map(({ name }) => name))
    return listInfos(host)
      .filter(({ name }) => wanted.has(name))
      .map(info => describeNetwork(info, host))
      .flatMap(({ name, pools, attachments }) => {
        const dead = attachments.filter(({ alive }) => !alive).length
        return pools
          .filter(({ size, used }) => used >= size)
          .map(({ subnet, used }) => ({
            on: `network ${name}`,
            what: `no address is left in ${subnet}: ${used} are taken${dead === 0 ? '' : `, ${dead} of them by containers that are gone`}`,
            why: 'the next container gets none, and does not start',
            cure: 'have runtimes collect what is left of containers that are gone (CNI GC; leases are files in /var/lib/cni/networks), or give the network a larger subnet',
          }))
      })
  },
}
