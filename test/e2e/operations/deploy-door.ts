/** A door by which `rescale --deploy` deploys: a command for the shell, behind which the test deploys to its cloud. */
import { createServer, type Server } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";

export class DeployDoor {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async open(deploy: (parallelism: number) => Promise<void>): Promise<DeployDoor> {
    const server = createServer((request, response) => {
      deploy(Number(request.url!.slice(1))).then(
        () => response.end(),
        (error: unknown) => response.writeHead(500).end(String(error)),
      );
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new DeployDoor(server);
  }

  command(parallelism: number): string {
    const { port } = this.#server.address() as AddressInfo;
    const script = `fetch("http://127.0.0.1:${port}/${parallelism}").then((answer) => process.exit(answer.ok ? 0 : 1))`;
    return `"${process.execPath}" -e '${script}'`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
