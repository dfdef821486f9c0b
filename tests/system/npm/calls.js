// Calls shop.Cart by gRPC-Web with the clients that pages use: connect-web, and grpc-web both ways that it encodes.
import { create, createFileRegistry } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, StringValueSchema, file_google_protobuf_wrappers as wrappers }
  from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";

const TEXT = ".google.protobuf.StringValue";
const METHODS = { Say: false, Spell: true, Fail: false };

function service() {
  const method = Object.entries(METHODS).map(([name, serverStreaming]) =>
    ({ name, serverStreaming, inputType: TEXT, outputType: TEXT }));
  const file = create(FileDescriptorProtoSchema, {
    name: "shop.proto", package: "shop", syntax: "proto3", dependency: [wrappers.proto.name],
    service: [{ name: "Cart", method }],
  });
  return createFileRegistry(file, name => name === wrappers.proto.name ? wrappers : undefined)
    .getService("shop.Cart");
}

// What was said, what was spelled and whether in pieces, and the status of a call that fails.
export async function byConnect(base) {
  const client = createClient(service(), createGrpcWebTransport({ baseUrl: base }));
  const said = await client.say({ value: "hello" }, { headers: { authorization: "Bearer x" } });
  const letters = [];
  const came = [];
  for await (const one of client.spell({ value: "abc" })) {
    letters.push(one.value);
    came.push(performance.now());
  }
  const failed = await client.fail({ value: "x" }).catch(error => ConnectError.from(error));
  return report(said.value, letters, came, `${Code[failed.code]}: ${failed.rawMessage}`);
}

// The same by grpc-web, whose format "text" alone gives a stream's messages as they come; "binary" is one XMLHttpRequest.
export async function byGrpcWeb(base, format) {
  const { default: grpc } = await import("grpc-web");
  const client = new grpc.GrpcWebClientBase({ format });
  const about = (name, type) =>
    new grpc.MethodDescriptor(`/shop.Cart/${name}`, type, Object, Object, encode, decode);
  const unary = (name, text) => new Promise((resolve, reject) =>
    client.rpcCall(`${base}/shop.Cart/${name}`, text, { authorization: "Bearer x" },
      about(name, grpc.MethodType.UNARY), (error, answer) => error ? reject(error) : resolve(answer)));
  const said = await unary("Say", "hello");
  const letters = [];
  const came = [];
  await new Promise((resolve, reject) => {
    const stream = client.serverStreaming(`${base}/shop.Cart/Spell`, "abc", {},
      about("Spell", grpc.MethodType.SERVER_STREAMING));
    stream.on("data", text => { letters.push(text); came.push(performance.now()); });
    stream.on("error", reject);
    stream.on("end", resolve);
  });
  const failed = await unary("Fail", "x").catch(error => error);
  return report(said, letters, came, `${failed.code}: ${failed.message}`);
}

function report(said, letters, came, failure) {
  const apart = came.length === 3 && came[2] - came[0] > 300;   // the service says one every half second
  return `${said} ${letters.join("")} ${apart ? "as they came" : "at once"} ${failure}`;
}

// StringValue by hand, below 128 octets.
function encode(text) {
  const octets = new TextEncoder().encode(text);
  return Uint8Array.from([10, octets.length, ...octets]);
}

function decode(message) {
  return new TextDecoder().decode(message.slice(2));
}
