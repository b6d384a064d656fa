import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

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

/** Whether a client is there; a test that needs it is skipped otherwise, and says so by its name. */
export function hasClient(program: keyof typeof clients): boolean {
  return (process.env['PATH'] ?? '').split(':').some((folder) => existsSync(`${folder}/${program}`))
}

/** Installs missing clients where that is possible: as root on a Debian machine. */
export function installClients(): void {
  const programs = Object.keys(clients) as (keyof typeof clients)[]
  const missing = programs.filter((program) => !hasClient(program))
  if (missing.length === 0) return
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    console.log(`not installed, so their tests are skipped: ${missing.join(', ')}`)
    return
  }
  console.log(`installing ${missing.join(', ')} …`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const apt = (...args: string[]) =>
    spawnSync('apt-get', ['-qq', ...args], { env, stdio: ['ignore', 'ignore', 'inherit'] })
  apt('update')
  apt('install', '-y', '--no-install-recommends', ...new Set(missing.map((program) => clients[program])))
}
