/**
 * Network lists as people have them: what podman 4.3 comes with (87-podman-bridge.conflist), and what
 * containerd's documentation installs (10-containerd-net.conflist).
 */

import type { NetworkList } from './libcni.ts'

/** The plugins of podman's list, in its order. */
export const CHAIN = ['bridge', 'portmap', 'firewall', 'tuning'] as const

/** Every plugin that these lists name. */
export const ALL = [...CHAIN, 'host-local', 'loopback']

export const podmanList: NetworkList = {
  cniVersion: '0.4.0',
  name: 'podman',
  plugins: [
    {
      type: 'bridge',
      bridge: 'cni-podman0',
      isGateway: true,
      ipMasq: true,
      hairpinMode: true,
      ipam: {
        type: 'host-local',
        routes: [{ dst: '0.0.0.0/0' }],
        ranges: [[{ subnet: '10.88.0.0/16', gateway: '10.88.0.1' }]],
      },
    },
    { type: 'portmap', capabilities: { portMappings: true } },
    { type: 'firewall' },
    { type: 'tuning' },
  ],
}

export const containerdList: NetworkList = {
  cniVersion: '1.0.0',
  name: 'containerd-net',
  plugins: [
    {
      type: 'bridge',
      bridge: 'cni0',
      isGateway: true,
      ipMasq: true,
      promiscMode: true,
      ipam: {
        type: 'host-local',
        ranges: [[{ subnet: '10.88.0.0/16' }], [{ subnet: '2001:db8:4860::/64' }]],
        routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
      },
    },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
}
