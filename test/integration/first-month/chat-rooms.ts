import { join } from 'node:path'
import { expect } from 'vitest'
import { startFile } from '../../support/example.ts'
import { Peer } from '../../support/peer.ts'
import type { Configuration } from './configuration.ts'

const file = join(import.meta.dirname, 'chat-rooms.yaml')

export const chatRooms: Configuration = {
  title: 'a chat with rooms',
  file,
  async hold() {
    await using running = await startFile(file)
    await using ann = await Peer.connect(running.port())
    await using bob = await Peer.connect(running.port())
    await using eve = await Peer.connect(running.port())
    await ann.send('hello?\n/join kitchen Ann\n').hear('You are in kitchen.\n')
    await bob.send('/join kitchen Bob\n').hear('You are in kitchen.\n')
    await ann.hear('* Bob joined\n')
    await eve.send('/join cellar\n/join cellar Eve\n').hear('You are in cellar.\n')
    ann.send('tea?\n')
    await bob.hear('Ann: tea?\n')
    bob.send('yes\n/join cellar Bob\nhere I am\n')
    await ann.hear('Bob: yes\n* Bob left\n')
    await eve.hear('* Bob joined\nBob: here I am\n')
    ann.send('anybody?\n/join cellar Ann\n')
    await eve.hear('* Ann joined\n')
    ann.finish()
    await eve.hear('* Ann left\n')

    const how = 'Write: /join ROOM NAME\n'
    expect(ann.text).toBe(`${how}${how}You are in kitchen.\n* Bob joined\nBob: yes\n* Bob left\nYou are in cellar.\n`)
    expect(eve.text).toBe(`${how}${how}You are in cellar.\n* Bob joined\nBob: here I am\n* Ann joined\n* Ann left\n`)
    expect(await bob.finish().end()).toBe(
      `${how}You are in kitchen.\nAnn: tea?\nYou are in cellar.\n* Ann joined\n* Ann left\n`,
    )
  },
}
