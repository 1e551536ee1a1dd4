// What is asked of the server and told to it.

async function answered(answer) {
  if (!answer.ok) throw new Error((await answer.text()) || `status ${answer.status}`);
  return answer.json();
}

export async function ask(path) {
  return answered(await fetch(path));
}

/** said: number of a patch → true (rejected), false (kept) or null (taken back); answers with all verdicts. */
export async function tell(said) {
  const headers = { "Content-Type": "application/json" };
  return answered(await fetch("verdicts", { method: "POST", headers, body: JSON.stringify({ set: said }) }));
}
