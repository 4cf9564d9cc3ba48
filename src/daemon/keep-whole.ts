/**
 * Hears that something of ours is gone, and has it put back (network/reconcile/).
 *
 *     kernel ─▶ listeners ─▶ what it may mean ─▶ a pass over that, one at a time ─▶ log
 *
 * A pass begins at once. What comes while one goes on is the next one's, and so is what somebody was busy with. A
 * subject that is taken away again and again rests in between (rests.ts). Whatever fails is said once, until it is
 * another failure or nothing lacks any more.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { Readable } from '../ffi/readable.ts'
import { hasCode, messageOf } from '../model/errors.ts'
import { NFNLGRP_NFTABLES } from '../netfilter/constants.ts'
import { hasNfTables, netfilterHere } from '../netfilter/netfilter.ts'
import * as k from '../netlink/constants.ts'
import { findLink } from '../netlink/link/link.ts'
import { Listener, LOSSES, PORTS, withoutPort } from '../netlink/listener.ts'
import { openNetlink } from '../netlink/netlink.ts'
import { concernsHosts, type Notice, noticeOf, RuleNotices } from '../network/reconcile/notices.ts'
import {
  concernedBridge,
  concernsLimits,
  EVERYTHING,
  type Found,
  reconcile,
  type Scope,
} from '../network/reconcile/reconcile.ts'
import { Rests } from '../network/reconcile/rests.ts'
import { isHairpinClosed } from '../ports/hairpin.ts'
import { LegacyWatch } from './legacy-watch.ts'
import { Findings, type Logs } from './observing/findings.ts'
import { Unmade } from './unmade.ts'

/** What comes in one burst is heard together. */
const BURST_MS = 25
/** When those are looked at again that somebody was busy with. */
const AGAIN_MS = 50
/** Ports of bridges tell much of themselves while they come and go: nobody wakes for it, it is read now and then. */
const PORTS_MS = 1_000
/** Who was started for a call or a publication does that first. */
const FIRST_MS = 1_000

const ROUTE_GROUPS = [
  k.RTNLGRP_LINK,
  k.RTNLGRP_TC,
  k.RTNLGRP_IPV4_IFADDR,
  k.RTNLGRP_IPV6_IFADDR,
  k.RTNLGRP_IPV4_NETCONF,
  k.RTNLGRP_IPV6_NETCONF,
]

export class KeepWhole {
  /** Of what goes wrong. */
  readonly #warn: (line: string) => void
  readonly #isBusy: () => boolean
  readonly #hostsLost: () => void
  readonly #rests = new Rests()
  readonly #findings: Findings
  readonly #listeners: { listener: Listener; hear: (listener: Listener) => boolean }[] = []
  readonly #portListener: Listener
  #portTimer: NodeJS.Timeout | undefined
  readonly #readable: Readable
  #rules = false
  #settings = false
  #limits = false
  #bridges: Set<string> | 'all' = new Set()
  /** Ports that are looked at with the next pass. */
  #ports = new Set<number>()
  /** Those that told something while calls were done. */
  #laterPorts = new Set<number>()
  /** Of what a limit may be gone. */
  #limited = new Set<number | string>()
  /** Something was heard since the last pass; else it is only looked again. */
  #isNews = false
  /** Whom the pass could not compare with anything. */
  readonly #unmade = new Unmade(scope => {
    this.#addScope(scope)
    this.#soon(0)
  })
  #timer: NodeJS.Timeout | undefined
  #passing: Promise<void> | undefined
  #hearing: Promise<void> | undefined
  #isOver = false

  /** Hears from now on; what it hears is looked at from `begin` on. @throws SystemError */
  constructor(
    { log, warn }: Logs,
    isBusy: () => boolean,
    told: (found: Found[]) => void,
    hostsLost: () => void,
  ) {
    this.#warn = warn
    this.#hostsLost = hostsLost
    this.#findings = new Findings(this.#rests, { log, warn }, told)
    this.#isBusy = isBusy
    this.#listeners.push({
      listener: new Listener({ protocol: k.NETLINK_ROUTE, groups: ROUTE_GROUPS, filter: LOSSES }),
      hear: listener => listener.drain(message => this.#take(noticeOf(message))),
    })
    if (hasNfTables()) {
      const notices = new RuleNotices()
      this.#listeners.push({
        listener: new Listener({
          protocol: k.NETLINK_NETFILTER,
          groups: [NFNLGRP_NFTABLES],
          filter: withoutPort(netfilterHere().port),
        }),
        hear: listener =>
          listener.drain(message => {
            if (notices.concernsRules(message)) this.#rules = true
            if (concernsHosts(message)) this.#hostsLost()
          }),
      })
    }
    const groups = [k.RTNLGRP_LINK]
    this.#portListener = new Listener({ protocol: k.NETLINK_ROUTE, groups, filter: PORTS })
    this.#readable = new Readable(this.#listeners.map(({ listener }) => listener.number))
  }

  /** Legacy iptables says nothing of its changes. */
  readonly #legacy = new LegacyWatch(() => {
    this.#rules = this.#isNews = true
    this.#soon(0)
  })

  /** Looks at what the kernel tells from now on, and at everything once, a moment later. */
  begin(): void {
    this.#timer = setTimeout(() => {
      this.#everything()
      this.#soon(0)
    }, FIRST_MS).unref()
    this.#portTimer = setInterval(() => this.#hearPorts(), PORTS_MS).unref()
    this.#hearing = this.#hear().catch(thrown =>
      this.#warn(`what is taken away from now on is not noticed: ${messageOf(thrown)}`),
    )
  }

  async stop(): Promise<void> {
    this.#isOver = true
    clearTimeout(this.#timer)
    clearInterval(this.#portTimer)
    this.#legacy[Symbol.dispose]()
    await this.#readable.end()
    await this.#hearing
    await this.#passing
    this.#unmade[Symbol.dispose]()
    for (const { listener } of this.#listeners) listener[Symbol.dispose]()
    this.#portListener[Symbol.dispose]()
  }

  async #hear(): Promise<void> {
    while (await this.#readable.wait()) {
      for (const { listener, hear } of this.#listeners) if (!hear(listener)) this.#everything()
      this.#isNews ||= this.#isConcerned()
      if (this.#isConcerned()) this.#soon(0)
      await sleep(BURST_MS)
    }
  }

  #take(notice: Notice | undefined): void {
    if (notice === undefined) return
    if (notice.what === 'settings') this.#settings = true
    else if (notice.what === 'bridge') this.#addBridge(notice.name)
    else if (notice.what === 'limits') this.#limited.add(notice.of)
    // While a call is done, links tell of what it does; and to ask for one would wait until the kernel has deleted others.
    else if (this.#isBusy()) this.#laterPorts.add(notice.index)
    else this.#ports.add(notice.index)
  }

  #hearPorts(): void {
    for (const index of this.#laterPorts) this.#ports.add(index)
    this.#laterPorts.clear()
    if (!this.#portListener.drain(message => this.#take(noticeOf(message)))) {
      this.#bridges = 'all'
      this.#settings = true
    }
    this.#isNews ||= this.#isConcerned()
    if (this.#isConcerned()) this.#soon(0)
  }

  #addBridge(name: string): void {
    if (this.#bridges !== 'all') this.#bridges.add(name)
  }

  #everything(): void {
    this.#addScope(EVERYTHING)
    this.#isNews = true
  }

  #addScope(scope: Scope): void {
    this.#rules ||= scope.rules
    this.#settings ||= scope.settings
    this.#limits ||= scope.limits
    if (scope.bridges === 'all') this.#bridges = 'all'
    else for (const name of scope.bridges) this.#addBridge(name)
  }

  #isConcerned(): boolean {
    return (
      this.#rules ||
      this.#settings ||
      this.#limits ||
      this.#limited.size > 0 ||
      this.#ports.size > 0 ||
      this.#bridges === 'all' ||
      this.#bridges.size > 0
    )
  }

  #soon(afterMs: number): void {
    clearTimeout(this.#timer)
    if (this.#isOver || this.#passing !== undefined) return
    const pass = () => {
      this.#passing = this.#pass()
        .catch(thrown => {
          this.#warn(`looking for what is gone failed: ${messageOf(thrown)}`)
          return 0
        })
        .then(waitMs => {
          this.#passing = undefined
          if (this.#isConcerned()) this.#soon(waitMs)
        })
    }
    if (afterMs === 0) pass()
    else this.#timer = setTimeout(pass, afterMs).unref()
  }

  /** @returns in how many ms what is left is looked at */
  async #pass(): Promise<number> {
    this.#lookAtPorts()
    this.#limitsOfLinks()
    const scope: Scope = {
      rules: this.#rules,
      settings: this.#settings,
      limits: this.#limits,
      bridges: this.#bridges,
    }
    if (!this.#isConcerned()) return 0
    this.#rules = this.#settings = this.#limits = false
    this.#bridges = new Set()
    let restMs = Number.POSITIVE_INFINITY
    const mayMend = (subject: string): boolean => {
      const rest = this.#rests.restMs(subject)
      if (rest > 0) restMs = Math.min(restMs, rest)
      return rest === 0
    }
    const isNews = this.#isNews
    this.#isNews = false
    const tellMaking = (owners: readonly string[]) => {
      if (isNews) this.#unmade.note(owners, scope)
    }
    const found = await reconcile({ scope, mayMend, tellMaking })
    this.#findings.tell(found)
    const left = found.filter(({ outcome, isFinal }) => outcome === 'kept' && isFinal !== true)
    for (const { subject } of left) restMs = Math.min(restMs, Math.max(AGAIN_MS, this.#rests.restMs(subject)))
    if (restMs === Number.POSITIVE_INFINITY) return 0
    this.#addScope(scope)
    return restMs
  }

  /** Of links that told something, those matter that are ports and not as somebody needs them, and bridges. */
  #lookAtPorts(): void {
    const indices = [...this.#ports]
    this.#ports = new Set()
    if (indices.length === 0) return
    using nl = openNetlink()
    for (const index of indices) {
      const link = findLink(nl, { index })
      if (link === undefined) continue
      const bridge = concernedBridge(nl, link)
      if (bridge !== undefined) this.#addBridge(bridge)
      if (isHairpinClosed(link)) this.#settings = true
    }
  }

  /** Of what told that something of it went, what is a limit of ours. */
  #limitsOfLinks(): void {
    const limited = [...this.#limited]
    this.#limited = new Set()
    if (limited.length === 0 || this.#limits) return
    using nl = openNetlink()
    this.#limits = limited.some(of => concernsLimits(nl, of))
  }
}

/**
 * Undefined where the kernel lets nobody hear.
 * @param isBusy whether calls are being done here
 * @param told hears what was put back, and what could not be
 * @param hostsLost hears that rules of networks over many hosts are gone
 */
export function keepWhole(
  logs: Logs,
  isBusy: () => boolean,
  told: (found: Found[]) => void,
  hostsLost: () => void,
): KeepWhole | undefined {
  try {
    return new KeepWhole(logs, isBusy, told, hostsLost)
  } catch (thrown) {
    if (!hasCode(thrown, 'EPERM', 'EACCES', 'EMFILE', 'ENFILE', 'missing')) throw thrown
    logs.warn(`what others take away is not noticed: ${messageOf(thrown)}`)
    return undefined
  }
}
