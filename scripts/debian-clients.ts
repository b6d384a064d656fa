import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The real clients and tools that the end-to-end and fault tests use: program, and the Debian package it comes from. */
const clients = {
  curl: 'curl',
  haproxy: 'haproxy',
  logger: 'bsdutils',
  'mkfs.ext4': 'e2fsprogs',
  mosquitto: 'mosquitto',
  mount: 'mount',
  'nats-server': 'nats-server',
  nc: 'netcat-openbsd',
  nginx: 'nginx-light',
  openssl: 'openssl',
  packetsender: 'packetsender',
  pg_ctlcluster: 'postgresql',
  plink: 'putty-tools',
  python3: 'python3-minimal',
  'rabbitmq-server': 'rabbitmq-server',
  'redis-cli': 'redis-tools',
  'redis-server': 'redis-server',
  rsyslogd: 'rsyslog',
  strace: 'strace',
  'systemd-analyze': 'systemd',
  'systemd-notify': 'systemd',
  telnet: 'inetutils-telnet',
} as const

/**
 * Programs of packages that cannot be installed beside one of those, as syslog-ng beside rsyslog. Of such a package only some files
 * are taken; where they lie nothing else does. The program comes last, so that it is not there without what it needs.
 */
const unpacked = {
  loggen: {
    package: 'syslog-ng-core',
    needs: ['libglib2.0-0', 'libssl3'],
    files: ['./usr/lib/syslog-ng', './usr/bin/loggen'],
  },
} as const

type Program = keyof typeof clients | keyof typeof unpacked

/** Whether a client is there; a test that needs it is skipped otherwise, and says so by its name. */
export function hasClient(program: Program): boolean {
  return (process.env['PATH'] ?? '').split(':').some((folder) => existsSync(`${folder}/${program}`))
}

/** Installs missing clients where that is possible: as root on a Debian machine. */
export function installClients(): void {
  const isMissing = (program: Program) => !hasClient(program)
  const toInstall = (Object.keys(clients) as (keyof typeof clients)[]).filter(isMissing)
  const toUnpack = (Object.keys(unpacked) as (keyof typeof unpacked)[]).filter(isMissing)
  const missing = [...toInstall, ...toUnpack]
  if (missing.length === 0) return
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    console.log(`not installed, so their tests are skipped: ${missing.join(', ')}`)
    return
  }
  console.log(`installing ${missing.join(', ')} …`)
  apt(['update'])
  const packages = [...toInstall.map((program) => clients[program]), ...toUnpack.flatMap((one) => unpacked[one].needs)]
  apt(['install', '-y', '--no-install-recommends', ...new Set(packages)])
  for (const program of toUnpack) unpack(unpacked[program])
}

function unpack({ package: name, files }: (typeof unpacked)[keyof typeof unpacked]): void {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-client-'))
  apt(['-o', 'APT::Sandbox::User=root', 'download', name], folder)
  files.every((file) => run('sh', ['-c', `dpkg-deb --fsys-tarfile ./*.deb | tar -x -C / ${file}`], folder))
  rmSync(folder, { recursive: true })
}

function apt(args: readonly string[], cwd?: string): void {
  run('apt-get', ['-qq', ...args], cwd)
}

/** @returns whether it has ended well */
function run(program: string, args: readonly string[], cwd?: string): boolean {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  return spawnSync(program, args, { env, cwd, stdio: ['ignore', 'ignore', 'inherit'] }).status === 0
}
