"""Blobs, as both clients and containers ask for them."""
# ruff: noqa: N802 - the names are those of Modal's methods

from modal_proto import api_pb2

from tests.backends.modal.server.grpc import unary
from tests.backends.modal.server.http import Web


class Blobs:
    def __init__(self, web: Web) -> None:
        self._web = web

    @unary
    async def BlobCreate(self, request) -> api_pb2.BlobCreateResponse:
        blob = self._web.new_blob()
        return api_pb2.BlobCreateResponse(
            blob_ids=[blob], upload_urls=api_pb2.UploadUrlList(items=[self._web.blob_url(blob)])
        )

    @unary
    async def BlobGet(self, request) -> api_pb2.BlobGetResponse:
        return api_pb2.BlobGetResponse(download_url=self._web.blob_url(request.blob_id))
