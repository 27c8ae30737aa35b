// What benchmarks/agent.py is to Python, for graphile-worker; see peers/graphile_worker.py.
//
//     node graphile_worker.mjs client|worker NAME URL [OPTIONS AS JSON]
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.env.BENCHMARK_ENVIRONMENT}/`);
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const { makeWorkerUtils, run, runMigrations, Logger } = await load("graphile-worker");
const { default: pg } = await load("pg");

const [role, , url] = process.argv.slice(2);
const PRIORITY = [10, 50, 90]; // urgent, normal, low
const LOW = 2;
const TELL_INTERVAL = 20;
const logger = new Logger(() => (level, message) => {
  if (level === "error") console.error(message);
});

const clock = () => process.hrtime.bigint();
const seconds = (from) => Number(clock() - from) / 1e9;
const sleep = (time) => new Promise((done) => setTimeout(done, time * 1000));
const write = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
const argument = (level) => (level === LOW ? -1 : 0);

let utils;
const add = (sent, level) =>
  utils.addJob("noop", { sent: String(sent) }, { priority: PRIORITY[level] });
const addMany = (count, level) => {
  const spec = {
    identifier: "noop",
    payload: { sent: String(argument(level)) },
    priority: PRIORITY[level],
  };
  return utils.addJobs(Array.from({ length: count }, () => spec));
};

const client = {
  async install() {
    await runMigrations({ connectionString: url, logger });
  },
  async open() {
    const pgPool = new pg.Pool({ connectionString: url, max: 20 });
    utils = await makeWorkerUtils({ pgPool, logger });
  },
  async later({ seconds: duration, callers }) {
    const start = clock();
    let count = 0;
    const call = async () => {
      for (; seconds(start) < duration; count++) await add(0, 1);
    };
    await Promise.all(Array.from({ length: callers }, call));
    return { count, seconds: seconds(start) };
  },
  async many({ seconds: duration, size }) {
    const start = clock();
    let count = 0;
    for (; seconds(start) < duration; count += size) await addMany(size, 1);
    return { count, seconds: seconds(start) };
  },
  async fill({ count, level }) {
    for (let left = count; left > 0; left -= 1000) await addMany(Math.min(left, 1000), level);
  },
  async stamp({ samples, pause, level = 1 }) {
    for (let sample = 0; sample < samples; sample++) {
      await add(clock(), level);
      await sleep(pause * (0.5 + Math.random()));
    }
  },
};

const record = { count: 0, first: 0n, last: 0n, delays: [] };
const noop = async ({ sent }) => {
  const stamp = BigInt(sent);
  if (stamp < 0n) return;
  const now = clock();
  if (!record.count++) record.first = now;
  record.last = now;
  if (stamp) record.delays.push(Number(now - stamp));
};

const worker = {
  async open() {
    await run({
      logger,
      noHandleSignals: true,
      taskList: { noop },
      preset: {
        worker: {
          connectionString: url,
          concurrentJobs: 100,
          maxPoolSize: 25,
          localQueue: { size: 2000 },
          completeJobBatchDelay: 0,
          failJobBatchDelay: 0,
        },
      },
    });
    let told = -1;
    setInterval(() => {
      if (told === record.count) return;
      const { count, first, last } = record;
      write({ event: "ran", count: (told = count), first: Number(first), last: Number(last) });
    }, TELL_INTERVAL);
  },
  async delays() {
    return { delays: record.delays.splice(0) };
  },
  async forget() {
    Object.assign(record, { count: 0, first: 0n, last: 0n, delays: [] });
  },
};

const side = role === "client" ? client : worker;
let opened = false;
const open = async () => {
  if (!opened) await side.open();
  opened = true;
};
try {
  if (role === "worker") await open();
  for await (const line of createInterface({ input: process.stdin })) {
    const { do: verb, ...given } = JSON.parse(line);
    if (!side[verb]) {
      write({ missing: verb });
      continue;
    }
    try {
      if (verb !== "install") await open();
      write((await side[verb](given)) ?? {});
    } catch (error) {
      console.error(error);
      write({ error: String(error) });
    }
  }
  process.exit(0);
} catch (error) {
  console.error(error);
  write({ event: "failed", error: String(error) });
  process.exit(1);
}
