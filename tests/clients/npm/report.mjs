// One line for each thing that was tried, and a count at the end: `checks.py` for node.

let passed = 0;
let failed = 0;

export function that(name, holds, shown = '') {
  if (holds) passed += 1;
  else failed += 1;
  console.log(holds ? `  ok      ${name}` : `  FAILED  ${name} ${shown}`);
}

/** The call answers, and the answer is right; returns the answer. */
export async function gives(name, call, holds = () => true) {
  try {
    const answer = await call();
    that(name, holds(answer), JSON.stringify(answer)?.slice(0, 300));
    return answer;
  } catch (error) {
    that(name, false, told(error));
  }
}

/** The call is refused with the exchange's code, or words of its text. */
export async function refuses(name, call, ...words) {
  try {
    const answer = await call();
    that(name, false, `was not refused: ${JSON.stringify(answer)?.slice(0, 200)}`);
  } catch (error) {
    that(name, words.every((word) => told(error).includes(String(word))), told(error));
  }
}

/** Waits until `found` gives something, for at most ten seconds. */
export async function arrives(name, found) {
  for (let round = 0; round < 500; round += 1) {
    const event = found();
    if (event) {
      that(name, true);
      return event;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  that(name, false, 'did not arrive');
}

export function done(client) {
  console.log(`${client}: ${passed} passed, ${failed} failed`);
  process.exit(failed ? 1 : 0);
}

function told(error) {
  if (error instanceof Error) return error.stack ?? error.message;
  return JSON.stringify({ code: error?.code, message: error?.message, body: error?.body ?? error?.error ?? error });
}
