import { ask, fail, onToken } from "./api.js";
import { $, number, walk } from "./dom.js";
import * as history from "./history.js";
import * as item from "./item.js";
import * as search from "./search.js";
import * as tree from "./tree.js";

async function connect() {
  try {
    const model = await ask("/model");
    $("model").textContent =
      `${model.method}, ${number(model.items)} items, version ${model.model_version}, catalogue ${model.catalogue_version}`;
    history.start(model);
    search.search();
    history.refresh();
    if (model.sizes.length) walk("");
  } catch (error) {
    $("model").textContent = "not connected";
    fail(error.message);
  }
}

search.start();
tree.start();
item.start();
history.listen();
onToken(connect);
connect();
