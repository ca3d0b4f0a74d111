// node-postgres through the proxy: node with_node_postgres.js HOST PORT USER DATABASE.
'use strict'

const { Client, Pool } = require('pg')
const assert = require('assert')

const [host, port, user, database] = process.argv.slice(2)
const address = { host, port: Number(port), user, database }
const PATIENCE = 60_000
const SLEEP = 'SELECT pg_sleep(120) /* node-postgres */'

async function connected(work, options = {}) {
  const client = new Client({ ...address, ...options })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

async function value(client, text, values) {
  return Object.values((await client.query(text, values)).rows[0])[0]
}

async function fails(client, sqlstate, query) {
  await assert.rejects(client.query(query), (error) => {
    assert.strictEqual(error.code, sqlstate, `${error.message} of ${JSON.stringify(query)}`)
    return true
  })
}

async function connects() {
  await connected(async (client) => {
    assert.strictEqual(await value(client, 'SELECT 42'), 42)
    assert.strictEqual(await value(client, 'SELECT $1::text', ["é'\\"]), "é'\\")
    const both = await client.query('SELECT 1 AS a; SELECT 2 AS b')
    assert.deepStrictEqual(both.map((result) => result.rows), [[{ a: 1 }], [{ b: 2 }]])
    assert.deepStrictEqual((await client.query('')).rows, [])
    await fails(client, '42P01', 'SELECT * FROM there_is_none')
    await fails(client, '22012', { text: 'SELECT 1 / $1::int', values: [0] })
    assert.strictEqual(await value(client, 'SELECT 1'), 1)
  })
}

async function transactions() {
  await connected(async (client) => {
    await client.query('DROP TABLE IF EXISTS node_postgres')
    await client.query('CREATE TABLE node_postgres (id int PRIMARY KEY, text text)')
    await client.query('BEGIN')
    await client.query('INSERT INTO node_postgres VALUES ($1, $2)', [1, 'kept'])
    await client.query('COMMIT')
    await client.query('BEGIN')
    await client.query('INSERT INTO node_postgres VALUES ($1, $2)', [2, 'given up'])
    assert.strictEqual(await value(client, 'SELECT count(*)::int FROM node_postgres'), 2)
    await client.query('ROLLBACK')
    await client.query('BEGIN')
    await fails(client, '23505', "INSERT INTO node_postgres VALUES (1, 'again')")
    await fails(client, '25P02', 'SELECT 1')
    assert.strictEqual((await client.query('COMMIT')).command, 'ROLLBACK')
    await client.query('BEGIN READ ONLY')
    await fails(client, '25006', 'DELETE FROM node_postgres')
    await client.query('ROLLBACK')
    assert.strictEqual(await value(client, 'SELECT count(*)::int FROM node_postgres'), 1)
  })
}

async function sees_its_own_writes() {
  await connected(async (client) => {
    for (let turn = 0; turn < 50; turn++) {
      await client.query('UPDATE node_postgres SET text = $1 WHERE id = 1', [`${turn}`])
      assert.strictEqual(await value(client, 'SELECT text FROM node_postgres WHERE id = 1'), `${turn}`)
    }
  })
}

// Both clients call their statements by the same name, and mean others.
async function named_statements() {
  await connected((one) => connected(async (two) => {
    const sum = (number) => ({ name: 'same', text: 'SELECT $1::int + 1 AS x', values: [number] })
    const text = (number) => ({ name: 'same', text: "SELECT $1::text || 'x' AS x", values: [`${number}`] })
    for (let turn = 0; turn < 20; turn++) {
      const found = await Promise.all([one.query(sum(turn)), two.query(text(turn))])
      assert.deepStrictEqual(found.map((result) => result.rows[0].x), [turn + 1, `${turn}x`])
      await one.query('BEGIN')
      await one.query({ name: 'write', text: 'UPDATE node_postgres SET text = $1', values: [`${turn}`] })
      assert.strictEqual(await value(one, sum(turn)), turn + 1)
      await one.query('COMMIT')
      const read = { name: 'read', text: 'SELECT text FROM node_postgres WHERE id = $1', values: [1] }
      assert.strictEqual(await value(one, read), `${turn}`)
    }
    await fails(one, '22P02', { name: 'same', text: 'SELECT $1::int + 1 AS x', values: ['no number'] })
    assert.strictEqual(await value(one, sum(1)), 2)
  }))
}

// The driver asks for rows in portions, with Flush between them.
async function portions() {
  await connected(async (client) => {
    const result = await client.query({ text: 'SELECT generate_series(1, $1::int) AS x', values: [1000], rows: 7 })
    assert.strictEqual(result.rows.length, 1000)
    assert.strictEqual(result.rows[999].x, 1000)
  })
}

async function pools() {
  const pool = new Pool({ ...address, max: 8 })
  const rows = await Promise.all(Array.from({ length: 200 }, (_, number) =>
    pool.query({ name: 'number', text: 'SELECT $1::int AS x', values: [number] })))
  assert.deepStrictEqual(rows.map((result) => result.rows[0].x), Array.from({ length: 200 }, (_, number) => number))
  await pool.end()
}

// Older drivers do not know the option, and send one query at a time.
async function pipelines() {
  await connected(async (client) => {
    const numbers = Array.from({ length: 300 }, (_, number) => number)
    const wanted = numbers.map((number) =>
      client.query({ name: `times ${number % 3}`, text: `SELECT $1::int * ${number % 3} AS x`, values: [number] }))
    const refused = client.query('SELECT 1 / $1::int', [0]).then(() => 'nothing', (error) => error.code)
    const after = client.query('SELECT $1::int AS x', [7])
    const found = await Promise.all(wanted)
    assert.deepStrictEqual(found.map((result) => result.rows[0].x), numbers.map((number) => number * (number % 3)))
    assert.strictEqual(await refused, '22012')
    assert.strictEqual((await after).rows[0].x, 7)
    const [, own] = await Promise.all([
      client.query('UPDATE node_postgres SET text = $1', ['in a pipeline']),
      client.query('SELECT text FROM node_postgres WHERE id = $1', [1])
    ])
    assert.strictEqual(own.rows[0].text, 'in a pipeline')
  }, { pipeline: true })
}

// pg-copy-streams is a module of its own.
async function copies() {
  let streams
  try {
    streams = require('pg-copy-streams')
  } catch {
    return 'skipped: there is no pg-copy-streams'
  }
  const { pipeline } = require('stream/promises')
  const { Readable } = require('stream')
  await connected(async (client) => {
    await client.query('TRUNCATE node_postgres')
    const lines = Array.from({ length: 2000 }, (_, number) => `${number}\trow ${number}\n`)
    await pipeline(Readable.from(lines), client.query(streams.from('COPY node_postgres FROM STDIN')))
    const parts = []
    for await (const part of client.query(streams.to('COPY node_postgres TO STDOUT'))) parts.push(part)
    assert.strictEqual(Buffer.concat(parts).toString(), lines.join(''))
  })
}

async function notices() {
  await connected(async (client) => {
    const heard = new Promise((resolve) => client.once('notice', resolve))
    await client.query("DO $$ BEGIN RAISE NOTICE 'hear, hear'; END $$")
    assert.strictEqual((await heard).message, 'hear, hear')
  })
}

async function cancels() {
  await connected((one) => connected(async (watcher) => {
    // In transactions that may write, so that both are on the primary.
    await one.query('BEGIN')
    const sleeping = one.query(SLEEP).then(() => 'nothing', (error) => error.code)
    const running = "SELECT count(*)::int FROM pg_stat_activity WHERE query = $1 AND wait_event = 'PgSleep'"
    const end = Date.now() + PATIENCE
    for (let count = 0; count === 0;) {
      assert(Date.now() < end, 'the query to be cancelled never ran')
      await watcher.query('BEGIN')
      count = await value(watcher, running, [SLEEP])
      await watcher.query('COMMIT')
    }
    // The driver's own way: another client carries the request.
    new Client(address).cancel(one, one.activeQuery ?? one._activeQuery)
    assert.strictEqual(await sleeping, '57014')
    await one.query('ROLLBACK')
    assert.strictEqual(await value(one, 'SELECT 1'), 1)
  }))
}

const parts = [
  connects, transactions, sees_its_own_writes, named_statements, portions, pools, pipelines, copies, notices,
  cancels
]

async function main() {
  for (const part of parts) {
    const remark = await part()
    console.log(`OK ${part.name}${remark ? ` (${remark})` : ''}`)
  }
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
