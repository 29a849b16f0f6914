from fastapi.middleware.cors import CORSMiddleware
from flask_cors import CORS


def make(app):
    # ruleid: python-cors-any-origin
    CORS(app, supports_credentials=True)
    # ruleid: python-cors-any-origin
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_credentials=True)
    # ok: python-cors-any-origin
    CORS(app)
    # ok: python-cors-any-origin
    CORS(app, origins=["https://example.org"], supports_credentials=True)
    # ok: python-cors-any-origin
    app.add_middleware(CORSMiddleware, allow_origins=["*"])
