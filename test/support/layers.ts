/** Folders of src/ from the ground up; those of one row are siblings and may not know each other. */
export const layers: readonly string[][] = [
  ['model'],
  ['ffi'],
  ['netns'],
  ['netlink', 'bpf'],
  ['netfilter'],
  ['bridge', 'foreign', 'ipam', 'nat', 'proxy', 'redirect', 'runtime', 'dns', 'shaping', 'tuning'],
  ['records'],
  ['ports', 'hosts'],
  ['network'],
  ['publish', 'drop-in'],
  ['control', 'observe'],
  ['cni'],
  ['networks'],
  ['chain'],
  ['libnetwork', 'netavark'],
  ['daemon'],
  ['docker-proxy', 'install', 'lab', 'doctor', 'graph'],
  ['cli'], // its demo plays in the lab
]

/** Folders within a folder of src/ that stand side by side too: what they share is in the folder around them. */
export const siblings: readonly string[][] = [
  ['nat/iptables', 'nat/nftables'],
  ['proxy/stream', 'proxy/datagram'],
]
