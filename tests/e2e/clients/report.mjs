// What every program here shares: where the hub is, and one JSON line of what was seen, which the test judges.
export const connection = { host: '127.0.0.1', port: Number(process.argv[2]) };
export const options = { connection, embedded: false };
export const seen = {};

// A BigInt anywhere is a defect of the hub: JSON.stringify throws on it, and so the test fails.
export function finish() {
  console.log(JSON.stringify(seen));
  process.exit(0);
}

// The condition, asked again and again; the test's own deadline ends a program that waits in vain.
export async function until(condition) {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20));
}
