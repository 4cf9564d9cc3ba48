/**
 * What there is on a host and who talks to whom, as a graph.
 *
 *     files, kernel, daemon, runtimes ──gather.ts, host.ts──▶ facts: lists of plain values
 *                                                                │ build.ts, addresses.ts, talks.ts
 *                                                                ▼
 *                                                             a graph: nodes and edges (model.ts)
 *                                                                │ condense.ts: as much of it as one can look at
 *                      ┌────────────────────────────┬────────────┴───────────────┐
 *                   text.ts                  svg/: layout, then drawing        as it is, JSON
 *
 * A connection is told once, whatever rules and proxies have made of it: who began it, and what was asked for. Whoever is
 * asked by a published port is asked through that, and the port leads to containers.
 *
 * Names come from strangers: they are made visible where they become a label (labels.ts), and escaped where they become a
 * document.
 *
 * Nothing is changed by looking.
 *
 * Limits: of connections those are seen that the kernel tracks in the host's namespace. What a bridge hands from one
 * container to another without routing it is not among them, unless br_netfilter has it looked at. Clients that the kernel
 * leads past the proxy on loopback are not counted.
 */

export { buildGraph } from './build.ts'
export { condense, type Limits } from './condense.ts'
export { gatherFacts } from './gather.ts'
export type { Edge, Facts, Graph, Node } from './model.ts'
export { printSvg } from './svg/svg.ts'
export { printText, type TextOptions } from './text.ts'
