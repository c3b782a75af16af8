'use strict';
// What the programs of this folder share: many clients at once, and one line of JSON for what they saw.

const SECONDS = 20; // until what must happen is given up

// A meeting: await meet() goes on when all have come, so that nobody has left and all hold what they
// hold. When one of them fails, nobody waits for it any longer.
function meeting(count) {
  let waiting = [];
  function meet() {
    return within(SECONDS, 'the meeting', (resolve, reject) => {
      waiting.push({ resolve, reject });
      if (waiting.length === count) {
        waiting.forEach((each) => each.resolve());
        waiting = [];
      }
    });
  }
  meet.end = () => {
    waiting.forEach((each) => each.reject(new Error('another client failed')));
    waiting = [];
    count = 1;
  };
  return meet;
}

// Waits for an event that somebody calls `done` for; says so when that takes too long.
function within(seconds, what, start) {
  const happened = new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${what} did not happen within ${seconds} s`)), seconds * 1000);
    const and = (settle) => (value) => { clearTimeout(timer); settle(value); };
    start(and(resolve), and(reject));
  });
  happened.catch(() => {}); // who has failed before it awaits this needs no second failure
  return happened;
}

// The error's code, or what was there instead.
async function failure(promise) {
  try {
    return ['no error', await promise];
  } catch (error) {
    return [error.code, error.message];
  }
}

// Each scenario(number, meet) with `count` clients, or those that the arguments name. One that fails
// is told, and the next one runs.
async function run(count, scenarios) {
  const answers = {};
  const names = process.argv.length > 3 ? process.argv.slice(3) : Object.keys(scenarios);
  process.on('unhandledRejection', (error) => {
    console.error(error);
    process.exitCode = 1;
  });
  for (const name of names) {
    const scenario = scenarios[name];
    const meet = meeting(count);
    const clients = Array.from({ length: count }, async (_, number) => {
      try {
        return await scenario(number, meet);
      } catch (error) {
        console.error(`${name}, client ${number}: ${error.stack}`);
        process.exitCode = 1;
        meet.end();
        return undefined;
      }
    });
    answers[name] = await within(2 * SECONDS, name, (resolve) => Promise.all(clients).then(resolve)).catch((error) => {
      console.error(error.message);
      process.exitCode = 1;
    });
  }
  process.stdout.write(`${JSON.stringify(answers)}\n`, () => process.exit());
}

module.exports = { SECONDS, failure, run, within };
