import assert from 'node:assert/strict'
import type { Address } from '../contracts/client.ts'
import type { SluiceError } from '../contracts/errors.ts'
import type { Delivery, Guarantee, Receiver, Subscription } from '../contracts/subscription.ts'
import type { Check } from './check.ts'

/** A broker with a place of its own, made for one check. */
export interface SubscriptionUnderTest {
  /** Another subscription to that place, as a server has it after a restart. Nothing is opened yet. */
  create(): Promise<Subscription>
  /** Publishes texts there, in this order. Resolves when the broker has them. */
  publish(texts: readonly string[]): Promise<void>
  /** Frees what the check used. The subscriptions are closed already. */
  cleanup?(): Promise<void>
}

export interface SubscriptionSuiteOptions<Tested extends SubscriptionUnderTest> {
  create(): Promise<Tested>
  readonly guarantee: Guarantee
  /** The broker gives each message a name of its own. */
  readonly identifies: boolean
  /** Most messages that the subscription may have unsettled, as it is created here. Absent where there is no bound. */
  readonly maxInFlight?: number
}

/** The checks that every subscription passes: what was settled is over, and what was not is given again. */
export function subscriptionSuite<Tested extends SubscriptionUnderTest>(
  options: SubscriptionSuiteOptions<Tested>,
): Check[] {
  const { create, guarantee, identifies, maxInFlight } = options
  const check = (name: string, body: (tested: Tested) => Promise<void>): Check => ({
    name,
    async run() {
      const tested = await create()
      try {
        await body(tested)
      } finally {
        await tested.cleanup?.()
      }
    },
  })
  const checks = [
    check('messages come in the order in which they were published', (tested) => keepsOrder(tested, identifies)),
    check('bytes come as they were published', async (tested) => {
      await using taker = await Taker.open(tested)
      const texts = ['', 'ä \u0000 \r\n', 'x'.repeat(100_000)]
      await tested.publish(texts)
      assert.deepEqual(await taker.settled(3), texts)
    }),
    check('nothing comes after a stop', async (tested) => {
      const taker = await Taker.open(tested)
      await tested.publish(['a'])
      await taker.took(1)
      await taker.subscription.stop()
      await tested.publish(['b'])
      await taker.subscription.close()
      assert.deepEqual(taker.texts, ['a'])
    }),
    check('one that was never started is closed', async (tested) => (await tested.create()).close()),
    check('a stop while it connects leaves nothing behind', async (tested) => {
      const subscription = await tested.create()
      const taker = new Taker(subscription)
      subscription.start(taker)
      await subscription.stop()
      await subscription.close()
      assert.deepEqual(taker.texts, [])
    }),
  ]
  if (guarantee === 'at most once') return [...checks, check('nothing is there to be settled', hasNothingToSettle)]
  checks.push(
    check('what was settled does not come again', async (tested) => {
      const first = await Taker.open(tested)
      await tested.publish(['a', 'b', 'c'])
      await first.settled(3)
      await first[Symbol.asyncDispose]()
      await using second = await Taker.open(tested)
      await tested.publish(['d'])
      assert.deepEqual(await second.settled(1), ['d'])
    }),
    check('what was not settled is given again, by the same name', (tested) => givesAgain(tested, identifies)),
    check('what was published while nobody was there is given', async (tested) => {
      await (await Taker.open(tested))[Symbol.asyncDispose]()
      await tested.publish(['a', 'b'])
      await using taker = await Taker.open(tested)
      assert.deepEqual(await taker.settled(2), ['a', 'b'])
    }),
  )
  if (maxInFlight !== undefined) {
    checks.push(check('no more than maxInFlight are unsettled', (tested) => isBounded(tested, maxInFlight)))
  }
  return checks
}

async function keepsOrder(tested: SubscriptionUnderTest, identifies: boolean): Promise<void> {
  await using taker = await Taker.open(tested)
  const texts = Array.from({ length: 60 }, (_, i) => `text ${i}`)
  await tested.publish(texts.slice(0, 1))
  await tested.publish(texts.slice(1))
  assert.deepEqual(await taker.settled(texts.length), texts)
  const ids = taker.deliveries.map(({ id }) => id)
  assert.equal(new Set(ids).size, identifies ? texts.length : 1)
  assert.equal(ids.includes(''), !identifies)
  assert.ok(taker.deliveries.every(({ topic }) => topic !== ''))
}

async function hasNothingToSettle(tested: SubscriptionUnderTest): Promise<void> {
  await using taker = await Taker.open(tested)
  await tested.publish(['a'])
  await taker.took(1)
  assert.equal(taker.deliveries[0]!.settle, undefined)
}

async function givesAgain(tested: SubscriptionUnderTest, identifies: boolean): Promise<void> {
  // What waits is given at one go.
  await (await Taker.open(tested))[Symbol.asyncDispose]()
  await tested.publish(['a', 'b', 'c'])
  const first = await Taker.open(tested)
  await first.took(3)
  first.deliveries[0]!.settle!()
  await first[Symbol.asyncDispose]()
  await using second = await Taker.open(tested)
  assert.deepEqual(await second.took(2), ['b', 'c'])
  second.settleAll()
  if (!identifies) return
  const names = ({ deliveries }: Taker) => deliveries.slice(-2).map(({ id }) => id)
  assert.deepEqual(names(second), names(first))
}

async function isBounded(tested: SubscriptionUnderTest, maxInFlight: number): Promise<void> {
  await using taker = await Taker.open(tested)
  const texts = Array.from({ length: 3 * maxInFlight }, (_, i) => String(i))
  await tested.publish(texts)
  for (let count = 0; count < texts.length; ) {
    await taker.took(count + 1)
    const open = taker.texts.length - count
    assert.ok(open <= maxInFlight, `${open} are unsettled, and ${maxInFlight} may be`)
    count = taker.texts.length
    taker.settleAll()
  }
  assert.deepEqual(taker.texts, texts)
}

/** Takes what a subscription gives, and lets a test wait for it. */
export class Taker implements Receiver, AsyncDisposable {
  readonly subscription: Subscription
  readonly deliveries: Delivery[] = []
  readonly failures: SluiceError[] = []
  /** Where the broker was, each time that the subscription was confirmed. */
  readonly opens: Address[] = []
  #settled = 0
  #wake = Promise.withResolvers<void>()

  constructor(subscription: Subscription) {
    this.subscription = subscription
  }

  /** A subscription that has been started and confirmed. */
  static async open(tested: Pick<SubscriptionUnderTest, 'create'>): Promise<Taker> {
    const taker = new Taker(await tested.create())
    taker.subscription.start(taker)
    await taker.until(() => taker.opens.length > 0)
    return taker
  }

  get texts(): string[] {
    return this.deliveries.map(({ payload }) => payload.toString())
  }

  opened(address: Address): void {
    this.opens.push(address)
    this.#look()
  }

  failed(error: SluiceError): void {
    this.failures.push(error)
    this.#look()
  }

  take(deliveries: readonly Delivery[]): void {
    assert.ok(this.opens.length > 0, 'a message came before the subscription was confirmed')
    this.deliveries.push(...deliveries)
    this.#look()
  }

  /** Waits for so many messages. */
  async took(count: number): Promise<string[]> {
    await this.until(() => this.deliveries.length >= count)
    return this.texts
  }

  /** Waits for so many messages, and settles each. */
  async settled(count: number): Promise<string[]> {
    while (this.#settled < count) {
      await this.took(this.#settled + 1)
      this.settleAll()
    }
    return this.texts
  }

  /** Waits until a condition holds that depends on what has come. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.#wake.promise
  }

  /** Settles all that came since the last time, in order. */
  settleAll(): void {
    for (const { settle } of this.deliveries.slice(this.#settled)) settle?.()
    this.#settled = this.deliveries.length
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.subscription.stop()
    await this.subscription.close()
  }

  #look(): void {
    this.#wake.resolve()
    this.#wake = Promise.withResolvers()
  }
}
