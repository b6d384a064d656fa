/** What stands in the URL of a broker, decoded. */
export interface BrokerUrl {
  /** Without the colon. */
  readonly protocol: string
  /** An IPv6 address has no brackets. */
  readonly host: string
  readonly port: number | undefined
  readonly username: string | undefined
  readonly password: string | undefined
  /** Without the slash in front. */
  readonly path: string | undefined
}

/** Reads a URL with one of these protocols and a host; undefined when it is none. */
export function readBrokerUrl(text: unknown, protocols: readonly string[]): BrokerUrl | undefined {
  if (typeof text !== 'string' || !URL.canParse(text)) return undefined
  const url = new URL(text)
  const protocol = url.protocol.slice(0, -1)
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  if (!protocols.includes(protocol) || host === '') return undefined
  const decode = (part: string) => (part === '' ? undefined : decodeURIComponent(part))
  try {
    return {
      protocol,
      host,
      port: url.port === '' ? undefined : Number(url.port),
      username: decode(url.username),
      password: decode(url.password),
      path: decode(url.pathname.slice(1)),
    }
  } catch {
    return undefined
  }
}

/** How an address is shown: never with a user or a password. */
export function showAddress(protocol: string, host: string, port: number): string {
  return `${protocol}://${host.includes(':') ? `[${host}]` : host}:${port}`
}
