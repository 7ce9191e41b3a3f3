"""`sidkit run`: every stage, from data to report."""

from sidkit.cli.documents import is_about_documents, run_documents
from sidkit.cli.groups import with_groups
from sidkit.cli.options import Source
from sidkit.cli.pipeline import RunOptions, run_until

__all__ = ["command"]


@with_groups
def command(source: Source, options: RunOptions) -> None:
    """Run every stage: data, embed, tokenize, ids, train, decode, evaluate, report.

    Finished stages are not run again, and an interrupted run resumes. For a collection of documents, the
    retrievers of `search.methods` are fitted and evaluated.

    For example:

    `sidkit run ml-100k --preset demo`

    `sidkit run my-data/ --columns user_id=reviewerID,item_id=asin --set tokenize.method=rqvae`

    `sidkit run nfcorpus/ --set search.methods=bm25,sid --set sid.beam=64`

    `sidkit run ml-100k --set recommenders.use=sasrec,rqtransformer --out runs/two-models`
    """
    if is_about_documents(source):
        run_documents(source, options)
    else:
        run_until("report", source, options)
