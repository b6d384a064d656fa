import type { CheckContext, OptionProblem } from '../contracts/define.ts'
import { host, secret, z } from '../contracts/schema.ts'
import { checkTls, tlsMapping } from './client-tls.ts'

/** The options that say where a database is, and who we are. */
export const postgresAddress = {
  url: secret()
    .optional()
    .describe(
      'Where the database is, `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, instead of host, port, database, user and password. ' +
        '`?sslmode=require` or `verify-full` is `tls: true`.',
    ),
  host: host({ socketFolder: true })
    .optional()
    .describe('Name or address of the server, or the folder of its Unix socket. Default: localhost.'),
  port: z.int().min(1).max(65_535).optional().describe('Port of the server. Default: 5432.'),
  database: z.string().min(1).optional().describe('Name of the database. Default: that of the user.'),
  user: z.string().min(1).optional().describe('Who we are. Needed unless the url says it.'),
  password: secret().optional().describe('Password of the user. Default: none.'),
  tls: z
    .union([z.boolean(), tlsMapping])
    .optional()
    .describe('Encrypt the connection: true, or a mapping that says whom to trust. Default: false.'),
}

const schema = z.strictObject(postgresAddress)

/** {@link postgresAddress} as a part receives them. */
export type PostgresAddress = z.output<typeof schema>

/** Where the database is and who we are; nothing of it comes from the environment. */
export interface Target {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  readonly password: string
  readonly tls: PostgresAddress['tls'] | undefined
}

/** Mistakes that need a look at several options. What it says holds nothing of the url. */
export function checkPostgresAddress(address: PostgresAddress, context: CheckContext): OptionProblem[] {
  const problems = checkTls(address.tls ?? false, context)
  const target = readTarget(address)
  if ('message' in target) problems.push(target)
  return problems
}

/** Where to connect to, from the url or the single options. */
export function readTarget(options: PostgresAddress): Target | OptionProblem {
  const { url, host, port, database, user, password, tls } = options
  if (url === undefined) {
    if (user === undefined) return { path: [], message: 'user is missing, or url' }
    const rest = { host: host ?? 'localhost', port: port ?? 5432, password: password ?? '', tls }
    return { ...rest, user, database: database ?? user }
  }
  const also = Object.entries({ host, port, database, user, password }).find(([, value]) => value !== undefined)
  if (also !== undefined) return { path: [also[0]], message: `give url or ${also[0]}, and not both` }
  return readUrl(url, tls)
}

/** The server as a person would name it. */
export function hostOf({ host, port }: Pick<Target, 'host' | 'port'>): string {
  return host.startsWith('/') ? host : host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function readUrl(text: string, tls: PostgresAddress['tls']): Target | OptionProblem {
  const wrong = (message: string): OptionProblem => {
    return { path: ['url'], message, hint: 'write postgres://USER:PASSWORD@HOST:PORT/DATABASE' }
  }
  const url = URL.parse(text)
  if (url === null || !/^postgres(?:ql)?:$/.test(url.protocol)) return wrong('the url is not one of PostgreSQL')
  const unknown = [...url.searchParams.keys()].find((key) => key !== 'sslmode' && key !== 'host')
  if (unknown !== undefined) return wrong('the url has parameters besides sslmode and host')
  const mode = url.searchParams.get('sslmode')
  if (mode !== null && !['disable', 'require', 'verify-full'].includes(mode)) {
    return wrong('sslmode in the url must be disable, require or verify-full; for more write tls: { … }')
  }
  try {
    const user = decodeURIComponent(url.username)
    if (user === '') return wrong('the url names no user')
    const host = url.searchParams.get('host') ?? decodeURIComponent(url.hostname).replace(/^\[(.+)\]$/, '$1')
    return {
      host: host === '' ? 'localhost' : host,
      port: url.port === '' ? 5432 : Number(url.port),
      database: decodeURIComponent(url.pathname.slice(1)) || user,
      user,
      password: decodeURIComponent(url.password),
      tls: tls ?? (mode === null ? undefined : mode !== 'disable'),
    }
  } catch {
    return wrong('the url has a % that is not followed by two hexadecimal digits; write %25 for the character itself')
  }
}
