/** Why a text cannot be the name or the address of a host, in a clause, and what to write. */
export interface HostProblem {
  readonly message: string
  readonly hint: string
}

/**
 * Finds what people write into a host besides the host: a scheme, a path, a port, blanks, brackets. Anything else may be a
 * name that somebody's resolver knows.
 */
export function hostProblem(text: string): HostProblem | undefined {
  const what = surplusOf(text)
  if (what === undefined) return undefined
  const [, rest = ''] = /^(?:[a-z][a-z\d+.-]*:\/\/)?([^/]*)/i.exec(text.trim())!
  const { host, port = '' } = splitAddress(rest) ?? {}
  const beside = /^\d+$/.test(port) ? `, port: ${port}` : ''
  const hint = host === undefined ? 'write the name or the address alone' : `write host: ${host}${beside}`
  return { message: `a host is an address or a name, and this one holds ${what}`, hint }
}

/** Splits `host`, `host:port`, `[ipv6]:port` and an IPv6 address alone. The port may be any text. */
export function splitAddress(text: string): { readonly host: string; readonly port: string | undefined } | undefined {
  const [, ipv6, name, port] = /^(?:\[([^\]\s]+)\]|([^\s:/[\]]+))(?::([^\s/]*))?$/.exec(text) ?? []
  const host = ipv6 ?? name
  if (host !== undefined) return { host, port }
  return /^[\da-f:.]*:[\da-f:.]*:[\da-f:.]*$/i.test(text) ? { host: text, port: undefined } : undefined
}

function surplusOf(text: string): string | undefined {
  if (/^\s*[a-z][a-z\d+.-]*:\/\//i.test(text)) return 'a scheme'
  if (/\s/.test(text)) return 'blanks'
  if (text.includes('/')) return 'a path'
  // They keep an address apart from a port, and no resolver knows them.
  if (/^\[.*\]$/.test(text)) return 'brackets'
  // An IPv6 address without brackets has two colons at least.
  return /^(?:\[[^\]]*\]|[^:]*):[^:]*$/.test(text) ? 'a port' : undefined
}
