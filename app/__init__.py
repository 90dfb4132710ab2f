"""The page. It knows gradio and the engine's front door; it knows neither torch nor diffusers."""
