// Tells the page's own server what every client got from the service, whose address the page has in SERVICE.
import { byConnect, byGrpcWeb } from "./calls.js";

const clients = [byConnect, base => byGrpcWeb(base, "binary"), base => byGrpcWeb(base, "text")];
let said = "";
for (const client of clients) {
  said += `${await client(globalThis.SERVICE).catch(error => `failed: ${error}`)} | `;
}
await fetch(`/verdict/${encodeURIComponent(said)}`);
