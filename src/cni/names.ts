/**
 * The three names that a call is about, checked before anything else: they end up in file names, rules
 * and the kernel. The patterns are the spec's, the lengths ours.
 */

import { TsnetError } from '../model/errors.ts'
import { shown } from './json.ts'

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

/**
 * An interface name that is safe everywhere: the kernel would expand `x%d`, `all` and `default` are
 * directories of /proc/sys/net beside the interfaces', and `-h` is an option to every tool.
 * @throws TsnetError with `code`, naming `what`
 */
export function checkInterfaceName(
  name: string,
  what: string,
  code: 'invalid-environment' | 'invalid-config',
): string {
  const refuse = (reason: string) => {
    throw new TsnetError(code, `${what}: ${shown(name)} ${reason}`)
  }
  if (name.length > 15) refuse('is longer than the 15 characters of an interface name')
  if (!/^[A-Za-z0-9_.][A-Za-z0-9_.-]*$/.test(name)) {
    refuse('is no interface name: letters, digits, "_", "." and "-" may stand there, "-" not first')
  }
  if (name === '.' || name === '..') refuse('is a directory, no interface name')
  if (name === 'all' || name === 'default') refuse('means every interface, not one')
  if (name === 'lo') refuse('is the loopback interface')
  return name
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
