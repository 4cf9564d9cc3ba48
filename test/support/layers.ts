/** Folders of src/ from the ground up; those of one row are siblings and may not know each other. */
export const layers: readonly string[][] = [
  ['model'],
  ['ffi'],
  ['netns'],
  ['netlink'],
  ['netfilter'],
  ['bridge', 'foreign', 'ipam', 'nat', 'proxy', 'runtime', 'dns', 'shaping', 'tuning'],
  ['network'],
  ['control'],
  ['cni'],
  ['daemon'],
  ['docker-proxy', 'install', 'lab', 'chain'],
  ['cli'], // its demo plays in the lab
]
