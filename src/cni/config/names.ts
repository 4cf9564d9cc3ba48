/**
 * Names of containers, networks and plugins, checked before anything else: they end up in file names and
 * records. The patterns are the spec's, the lengths ours.
 */

import { TsnetError } from '../../model/errors.ts'
import { shown } from '../../model/json/shown.ts'

// CNI 1.1.0 "Network configuration" and "Parameters".
const IDENTIFIER = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/
const MAX_IDENTIFIER = 128

/** @throws TsnetError `invalid-environment` */
export function checkContainerId(id: string): string {
  return identifier(id, 'CNI_CONTAINERID', 'invalid-environment')
}

/** @throws TsnetError `invalid-config` */
export function checkNetworkName(name: string | undefined): string {
  if (name === undefined) throw new TsnetError('invalid-config', 'name: the network has no name')
  return identifier(name, 'name', 'invalid-config')
}

/** The file name of a plugin. It is looked for in CNI_PATH and must not lead out of it. */
export function isPluginName(name: string): boolean {
  return IDENTIFIER.test(name) && name.length <= MAX_IDENTIFIER
}

function identifier(text: string, what: string, code: 'invalid-environment' | 'invalid-config'): string {
  if (text.length > MAX_IDENTIFIER) {
    throw new TsnetError(code, `${what}: ${shown(text)} is longer than ${MAX_IDENTIFIER} characters`)
  }
  if (!IDENTIFIER.test(text)) {
    throw new TsnetError(
      code,
      `${what}: ${shown(text)} has invalid characters: letters, digits, "_", "." and "-" may stand there, a letter or digit first`,
    )
  }
  return text
}
