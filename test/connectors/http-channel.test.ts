/** Requests of an HTTP sink: what answers mean, and what does not leave the process. */
import assert from "node:assert/strict";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { after, describe, it } from "node:test";
import { keepConnections } from "../../emulator/keep-connections.ts";
import { isKind, type ErrorKind } from "../../runtime/base/errors.ts";
import { HttpChannel } from "../../runtime/connectors/http/http-channel.ts";
import type { HttpSink } from "../../runtime/connectors/http/http-sink.ts";
import { hours, httpSink, type HttpSinkOptions, json, millis } from "../../runtime/index.ts";

const listeners = new Set<() => void>();
after(() => {
  for (const stop of listeners) stop();
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  keepConnections(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  listeners.add(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function channelOf(url: string | undefined, options: Partial<HttpSinkOptions<any>> = {}): HttpChannel {
  const sink = httpSink<any>({ endpoint: "billing", format: json(), timeout: hours(1), ...options }) as HttpSink<any>;
  return new HttpChannel(url, sink.options as any, sink.functions);
}

const message = { id: "key-1", place: 0, body: Buffer.from('{"secret":"body"}') };
const send = async (channel: HttpChannel) => (await channel.send([message], { signal: new AbortController().signal }))[0]!;
const failsAs = (kind: ErrorKind, text: RegExp) => (error: unknown) => isKind(error, kind) && text.test(error.message);

describe("an answer", () => {
  const means: readonly (readonly [number, string])[] = [
    [200, "delivered"],
    [204, "delivered"],
    [408, "again"],
    [409, "again"],
    [425, "again"],
    [429, "again"],
    [500, "again"],
    [503, "again"],
    [400, "refused"],
    [404, "refused"],
    [413, "refused"],
    [422, "refused"],
  ];
  for (const [status, outcome] of means)
    it(`of ${status} means ${outcome}`, async () => {
      const url = await serve((_, response) => void response.writeHead(status).end());
      const delivery = await send(channelOf(url));
      assert.equal(delivery.outcome, outcome);
      if (delivery.outcome !== "delivered") assert.equal(delivery.reason, `the receiver answered ${status}`);
    });

  for (const status of [301, 307, 401, 403])
    it(`of ${status} stops the sink until someone puts it right, and goes nowhere else`, async () => {
      let elsewhere = 0;
      const other = await serve((_, response) => (elsewhere++, void response.end()));
      const url = await serve((_, response) => void response.writeHead(status, { location: other }).end());
      await assert.rejects(send(channelOf(url)), failsAs("invalid", new RegExp(`billing, status ${status}$`)));
      assert.equal(elsewhere, 0);
    });

  it("means what onStatus says, where it says something", async () => {
    const url = await serve((request, response) => void response.writeHead(Number(request.url!.slice(1))).end());
    const onStatus: HttpSinkOptions<any>["onStatus"] = (status) =>
      status === 404 ? "taken" : status === 500 ? "deadLetter" : status === 400 ? "stop" : status === 422 ? "again" : undefined;
    const of = (status: number) => send(channelOf(`${url}/${status}`, { onStatus }));
    assert.deepEqual(
      [await of(404), (await of(500)).outcome, (await of(422)).outcome, (await of(413)).outcome],
      [{ outcome: "delivered" }, "refused", "again", "refused"],
    );
    await assert.rejects(of(400), failsAs("invalid", /onStatus\(\) stops at: billing, status 400/));
  });

  it("may ask for time, of which so much is given as a task can wait", async () => {
    const afterMs = async (header: string) => {
      const url = await serve((_, response) => void response.writeHead(429, { "retry-after": header }).end());
      return ((await send(channelOf(url))) as { afterMs?: number }).afterMs;
    };
    assert.deepEqual([await afterMs("2"), await afterMs("3600"), await afterMs("soon")], [2_000, 30_000, undefined]);
  });

  it("may name the time, which is by the receiver's clock", async () => {
    const afterMs = async (retryAfter: string, date: string) => {
      const url = await serve((_, response) => {
        response.sendDate = false;
        response.writeHead(503, { "retry-after": retryAfter, ...(date !== "" && { date }) }).end();
      });
      return ((await send(channelOf(url))) as { afterMs?: number }).afterMs;
    };
    const at = (seconds: number) => `Sun, 06 Nov 1994 08:49:${seconds} GMT`;
    assert.deepEqual(
      [await afterMs(at(41), at(37)), await afterMs(at(37), at(41)), await afterMs(at(41), "")],
      [4_000, 0, undefined],
    );
  });

  it("has no name and password in its URL, which no request may have", () => {
    for (const url of ["https://name@host/", "https://name:secret@host/"])
      assert.throws(
        () => channelOf(url),
        (error) => failsAs("invalid", /headers\(\) gives: Authorization$/)(error) && !/secret/.test(String(error)),
      );
  });

  it("comes from the URL with what a row adds to it, and from no other", async () => {
    const asked: string[] = [];
    const url = await serve((request, response) => (asked.push(request.url!), void response.end()));
    for (const [base, path] of [
      ["/hook/", "?a=1"],
      ["/hook/", "/17"],
      ["/hook?k=1", "/17?a=%2F"],
      ["/hook", "/a%2Fb"],
    ] as const)
      await channelOf(url + base).send([{ ...message, fields: { path } }], { signal: new AbortController().signal });
    assert.deepEqual(asked, ["/hook/?a=1", "/hook/17", "/hook/17?k=1&a=%2F", "/hook/a%2Fb"]);
    for (const path of ["/../admin", "/a/%2e%2e/admin", "/a/.%2E", "/./a"]) {
      const writer = httpSink<string>({ endpoint: "billing", format: json(), path: () => path }).createWriter({
        ...{ generation: 1, task: "t", operator: "out", seq: () => 1, now: () => 0 },
      });
      assert.throws(() => writer.add("row", 0, "+I"), failsAs("invalid", /dots between slashes/), path);
    }
  });
});

describe("a request", () => {
  it("that is not answered in time, or by nobody, goes again", async () => {
    const silent = await serve(() => undefined);
    assert.deepEqual(await send(channelOf(silent, { timeout: millis(30) })), {
      outcome: "again",
      reason: "the receiver did not answer in time",
    });
    const nobody = await send(channelOf("http://127.0.0.1:9"));
    assert.equal(nobody.outcome, "again");
    const cut = await serve((request) => void request.socket.destroy());
    assert.equal((await send(channelOf(cut))).outcome, "again");
  });

  it("is given up when the sink is closed", async () => {
    const silent = await serve(() => undefined);
    const closing = new AbortController();
    const sent = channelOf(silent).send([message], { signal: closing.signal });
    closing.abort();
    assert.equal((await sent)[0]!.outcome, "again");
  });

  it("has its method, headers and key; headers() is asked each time", async () => {
    const seen: unknown[] = [];
    const url = await serve((request, response) => {
      const { method, headers } = request;
      seen.push([method, headers["x-token"], headers["x-key"], headers["content-type"]]);
      response.end();
    });
    let calls = 0;
    const channel = channelOf(url, {
      method: "PUT",
      headers: () => ({ "x-token": `t${++calls}`, "Content-Type": "text/plain" }),
      idempotencyHeader: "X-Key",
    });
    for (let times = 0; times < 2; times++) await send(channel);
    assert.deepEqual(seen, [
      ["PUT", "t1", "key-1", "text/plain"],
      ["PUT", "t2", "key-1", "text/plain"],
    ]);
  });

  it("shows neither body nor headers nor URL in what is said of it", async () => {
    const headers = () => ({ authorization: "hush\nhush" });
    await assert.rejects(send(channelOf("http://127.0.0.1:9/hush", { headers })), (error: Error) => {
      assert.ok(failsAs("invalid", /cannot be a header: billing/)(error));
      assert.doesNotMatch(error.message, /hush/);
      return true;
    });
    const failing = () => Promise.reject(new Error("no secret store"));
    await assert.rejects(
      send(channelOf("http://127.0.0.1:9", { headers: failing })),
      failsAs("unavailable", /headers\(\).*billing/),
    );
    assert.throws(() => channelOf(undefined), failsAs("invalid", /no url.*billing/));
    assert.throws(
      () => channelOf("hush://x"),
      (error: Error) => failsAs("invalid", /https/)(error) && !/hush/.test(error.message),
    );
  });
});
