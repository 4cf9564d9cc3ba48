/**
 * A topology as a tree of text: each host with its links, ports under their bridge, and at the end of a
 * line what the link leads to.
 *
 *     host
 *     ├─ lan0 192.168.50.1/24 ── client eth0 192.168.50.2/24
 *     └─ br0 (bridge) 10.9.0.1/24
 *        └─ web0 ── web eth0 10.9.0.2/24
 */

/** A place as the picture shows it. */
export interface Pictured {
  name: string
  /** Without `lo`. */
  links: readonly PicturedLink[]
}

export interface PicturedLink {
  name: string
  /** As netlink says it: `bridge`, `veth` … */
  kind?: string
  addresses: readonly string[]
  /** Name of the bridge it is a port of. */
  master?: string
  /** The other end of a veth pair, where it is in the picture. */
  peer?: { place: string; link: string }
}

/** Draws the places in their order. A wire is drawn where it is met first. */
export function draw(places: readonly Pictured[]): string {
  const drawn = new Set<string>()
  return places.map(place => drawPlace(place, places, drawn)).join('')
}

interface Row {
  text: string
  /** Drawn behind a line that aligns with those of the other rows. */
  far: string
}

function drawPlace(place: Pictured, places: readonly Pictured[], drawn: Set<string>): string {
  // A place that stands at the end of other lines has been shown.
  const fresh = place.links.filter(link => !drawn.has(`${place.name} ${link.name}`))
  if (fresh.length === 0 && place.links.length > 0) return ''
  const rows = branch(undefined, '')
  const width = Math.max(...rows.filter(row => row.far !== '').map(row => row.text.length))
  const lines = rows.map(({ text, far }) =>
    far === '' ? text : `${text} ${line(width - text.length)} ${far}`,
  )
  return [place.name, ...lines].map(row => `${row}\n`).join('')

  function branch(master: string | undefined, indent: string): Row[] {
    const links = fresh.filter(link => link.master === master)
    return links.flatMap((link, i) => {
      const last = i === links.length - 1
      drawn.add(`${place.name} ${link.name}`)
      const text = `${indent}${last ? '└' : '├'}─ ${describe(link)}`
      return [{ text, far: farEnd(link) }, ...branch(link.name, `${indent}${last ? ' ' : '│'}  `)]
    })
  }

  function farEnd({ peer }: PicturedLink): string {
    const link = places
      .find(({ name }) => name === peer?.place)
      ?.links.find(({ name }) => name === peer?.link)
    if (peer === undefined || link === undefined) return ''
    drawn.add(`${peer.place} ${link.name}`)
    return `${peer.place} ${describe(link)}`
  }
}

const line = (more: number): string => '─'.repeat(2 + more)

function describe({ name, kind, addresses }: PicturedLink): string {
  return [name, kind === undefined || kind === 'veth' ? '' : `(${kind})`, ...addresses]
    .filter(Boolean)
    .join(' ')
}
