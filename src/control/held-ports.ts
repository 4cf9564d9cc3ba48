/**
 * The operations of network/ where a daemon runs: it holds the published ports of what is attached, so
 * that they answer on loopback too. Without it everything is the same, but for that.
 */

import { ownerTag } from '../model/network.ts'
import * as network from '../network/network.ts'
import { connectControl } from './client.ts'

export { check, collect, status } from '../network/network.ts'

export async function attach(...[request, context]: Parameters<typeof network.attach>) {
  using daemon = request.ports.length > 0 ? await connectControl() : undefined
  if (daemon === undefined) return network.attach(request, context)
  const attachment = await network.attach(request, { ...context, loopbackServed: true })
  try {
    await daemon.ask('serve', { owner: ownerTag(attachment) })
    return attachment
  } catch (thrown) {
    await network.detach(attachment)
    throw thrown
  }
}

export async function detach(...[key, hint, context]: Parameters<typeof network.detach>) {
  using daemon = await connectControl()
  // A daemon in trouble is no reason to keep anything: it looks for itself soon.
  await daemon?.ask('release', { owner: ownerTag(key) }).catch(() => {})
  await network.detach(key, hint, context)
}
